"""Find two models, prepare their inputs, run both, sum up."""
