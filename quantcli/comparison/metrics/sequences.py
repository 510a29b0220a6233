"""How much of two sequences of tokens is the same."""

from __future__ import annotations

from collections.abc import Sequence


def common_prefix(first: Sequence[int], second: Sequence[int]) -> float:
    """Return the share of the longer sequence before the first difference, 0 to 1."""
    longer = max(len(first), len(second))
    if longer == 0:
        return 1.0
    pairs = zip(first, second, strict=False)
    same = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
    return same / longer
