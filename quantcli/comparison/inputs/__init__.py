"""What turns samples into the inputs of a model."""
