"""Finds two models, prepares their inputs, runs both and sums up."""
