"""The README and the pages in docs/: what is written by hand, generated, and run."""
