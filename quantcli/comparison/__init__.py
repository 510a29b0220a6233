"""Two models, the same samples, the difference in numbers."""
