"""What is wanted, such as a metric or a size, to a recipe: a dtype for every module."""
