"""The distribution of a tensor's values: counts in bins, quantiles, extremes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

TAIL = 0.0005
"""The share of the values, at either end, that lie in the first and the last bin of a histogram."""

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
"""Shares of the values that lie below a quantile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The finite values of a tensor: `count` of them, `zeros` among them, and `not_finite` others.

    `bins` are counts between the `edges` of the `Histogram`. `quantiles` maps a share to the value
    that this share of the values is below, exact to a 65536th of the range. `distinct` is how many
    codes occur in a quantized tensor.
    """

    count: int
    not_finite: int
    zeros: int
    minimum: float
    maximum: float
    mean: float
    deviation: float
    quantiles: Mapping[float, float]
    bins: tuple[int, ...]
    distinct: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        quantiles = {f"{share:g}": value for share, value in self.quantiles.items()}
        return fields | {"bins": [*self.bins], "quantiles": quantiles}


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """The values of one tensor, and of the same tensor of the original if there is one.

    `edges` are those of the bins of both, one more than there are bins. Bins have the same width,
    but the first and the last reach to the extremes: most values lie between 0.05 % and 99.95 %.
    """

    tensor: str
    edges: tuple[float, ...]
    values: Distribution
    original: Distribution | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "tensor": self.tensor,
            "edges": [*self.edges],
            "values": self.values.to_dict(),
            "original": self.original.to_dict() if self.original else None,
        }


def bin_bounds(counts: Sequence[int], bins: int) -> list[int]:
    """Return the bounds of `bins` bins made of finely counted ones, as indices of those.

    The bins between the first and the last are equally wide, and hold all but the outermost values.
    """
    below = [0, *accumulate(counts)]
    first = bisect_right(below, TAIL * below[-1]) - 1
    last = bisect_left(below, (1 - TAIL) * below[-1])
    step = max(1, -(-(last - first) // (bins - 2)))
    inner = [first + step * index for index in range(bins - 1)]
    return [0, *(bound for bound in inner if 0 < bound < len(counts)), len(counts)]


def quantile(counts: Sequence[int], edges: tuple[float, float], share: float) -> float:
    """Return the value below which a share of counted values lies; they are even within a bin."""
    low, high = edges
    width = (high - low) / len(counts)
    wanted = share * sum(counts)
    below = 0
    for index, count in enumerate(counts):
        if count and below + count >= wanted:
            return low + width * (index + (wanted - below) / count)
        below += count
    return high
