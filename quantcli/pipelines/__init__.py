"""diffusers pipelines: their components planned, written and loaded like models."""
