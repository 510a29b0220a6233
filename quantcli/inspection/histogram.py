"""The distribution of a tensor's values: counts in bins of equal width, quantiles, extremes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
"""Shares of the values that lie below a quantile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The finite values of a tensor: `count` of them, `zeros` among them, and `not_finite` others.

    `bins` are counts between `minimum` and `maximum` of the `Histogram`, which may span more than
    these values. `quantiles` maps a share to a value, exact to 1/4096 of a bin. `distinct` is the
    number of codes that occur, of a quantized tensor.
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

    `edges` are those of the bins of both, one more than there are bins.
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
