"""The original model, run on samples, and what its modules are given."""
