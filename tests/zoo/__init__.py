"""Every model type of transformers: planned at its default size, and run at a small one."""
