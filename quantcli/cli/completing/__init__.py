"""What shells complete, and the scripts that make them ask."""
