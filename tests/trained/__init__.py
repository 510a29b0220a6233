"""Tiny models with real tokenizers, trained from nothing in seconds and kept in a cache.

`model("clip")` returns a Hugging Face folder. It is shared by every run: do not write to it.
"""

from trained.cache import NAMES, cached, model

__all__ = ["NAMES", "cached", "model"]
