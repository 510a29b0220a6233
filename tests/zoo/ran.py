"""Run a model type at a small size."""
