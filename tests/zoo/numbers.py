"""Numbers as the page shows them."""

from __future__ import annotations

import math


def cut(value: float) -> str:
    """Return four decimals, cut off and not rounded: 0.99 must not be said of less."""
    return f"{math.floor(value * 10000) / 10000:.4f}"
