"""Count the values of a tensor in two passes over it: extremes, then bins."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import torch

from quantcli.execute.run import one_thread_each
from quantcli.execute.workspace import Workspace
from quantcli.inspection import values
from quantcli.inspection.histogram import QUANTILES, Distribution, Histogram, bin_bounds, quantile
from quantcli.inspection.sums import Block
from quantcli.inspection.values import Values, compute_dtype, ranges
from quantcli.kinds.layout import Rows

BINS = 24
"""Bins of a histogram."""

FINE = 1 << 16
"""Equal parts of the range in which values are counted; bins and quantiles are made from them."""


@dataclass(frozen=True, slots=True)
class _Side:
    """A tensor of one of the models."""

    name: str
    rows: Rows
    values: Values
    dtype: torch.dtype

    def blocks(self) -> Iterator[Block]:
        """Yield all values in blocks; the next one takes the place of a block."""
        stream, workspace = self.values.stream(self.name, self.rows), Workspace()
        for start, count in ranges(self.rows, values.BLOCK):
            yield stream.read(start, count, self.dtype, workspace)


@dataclass(slots=True)
class _Extremes:
    minimum: float = math.inf
    maximum: float = -math.inf
    count: int = 0
    not_finite: int = 0
    zeros: int = 0
    total: float = 0.0
    codes: torch.Tensor = field(default_factory=lambda: torch.zeros(256, dtype=torch.bool))

    @property
    def mean(self) -> float:
        return self.total / max(1, self.count)

    def add(self, block: Block) -> None:
        found = _finite(block.values)
        self.not_finite += block.values.numel() - found.numel()
        self.count += found.numel()
        if block.codes is not None:
            self.codes |= torch.bincount(block.codes.view(torch.uint8), minlength=256) > 0
        if not found.numel():
            return
        low, high = found.aminmax()
        self.minimum = min(self.minimum, float(low))
        self.maximum = max(self.maximum, float(high))
        self.zeros += found.numel() - int(torch.count_nonzero(found))
        self.total += float(found.sum(dtype=torch.float64))


def histogram(
    full: str, name: str, result: Values, original: Values | None, *, bins: int = BINS
) -> Histogram:
    """Return the distribution of a tensor's values, on the same bins as that of the original's.

    `full` is the name of the tensor in the pipeline, `name` in both models.
    """
    rows = result.rows(name)
    models = [result] if original is None else [result, original]
    with one_thread_each():
        return _histogram(full, name, rows, models, bins)


def _histogram(full: str, name: str, rows: Rows, models: list[Values], bins: int) -> Histogram:
    sides = [_Side(name, rows, each, compute_dtype(each.dtype(name))) for each in models]
    extremes = [_extremes(side) for side in sides]
    low, high = _range(extremes)
    counted = [
        _counted(side, extreme, low, high) for side, extreme in zip(sides, extremes, strict=True)
    ]
    bounds = bin_bounds(_sum(counts for counts, _ in counted), bins)
    found = [
        _distribution(extreme, counts, squares, (low, high), bounds)
        for extreme, (counts, squares) in zip(extremes, counted, strict=True)
    ]
    return Histogram(
        tensor=full,
        edges=tuple(low + (high - low) * bound / FINE for bound in bounds),
        values=found[0],
        original=found[1] if len(found) > 1 else None,
    )


def _extremes(side: _Side) -> _Extremes:
    found = _Extremes()
    for block in side.blocks():
        found.add(block)
    return found


def _range(extremes: list[_Extremes]) -> tuple[float, float]:
    """Return the ends of the bins: some width around a single value."""
    present = [each for each in extremes if each.count]
    low = min((each.minimum for each in present), default=0.0)
    high = max((each.maximum for each in present), default=0.0)
    around = max(abs(low), 1.0) / 2
    return (low, high) if low < high else (low - around, high + around)


def _counted(side: _Side, extremes: _Extremes, low: float, high: float) -> tuple[list[int], float]:
    """Return the counts of all values in equal parts of a range, and their squared deviations."""
    mean, squares = extremes.mean, 0.0
    counts = torch.zeros(FINE, dtype=torch.int64)
    for block in side.blocks():
        found = _finite(block.values).double()
        index = ((found - low) * (FINE / (high - low))).to(torch.int32).clamp_(0, FINE - 1)
        counts += torch.bincount(index, minlength=FINE)
        squares += float(found.sub_(mean).square_().sum())
    return counts.tolist(), squares


def _sum(counts: Iterable[list[int]]) -> list[int]:
    return [*map(sum, zip(*counts, strict=True))]


def _distribution(
    extremes: _Extremes,
    counts: list[int],
    squares: float,
    edges: tuple[float, float],
    bounds: list[int],
) -> Distribution:
    return Distribution(
        count=extremes.count,
        not_finite=extremes.not_finite,
        zeros=extremes.zeros,
        minimum=extremes.minimum if extremes.count else 0.0,
        maximum=extremes.maximum if extremes.count else 0.0,
        mean=extremes.mean,
        deviation=math.sqrt(squares / max(1, extremes.count)),
        quantiles=_quantiles(counts, edges, extremes),
        bins=tuple(sum(counts[start:stop]) for start, stop in pairwise(bounds)),
        distinct=int(extremes.codes.sum()) or None,
    )


def _quantiles(
    counts: list[int], edges: tuple[float, float], extremes: _Extremes
) -> dict[float, float]:
    if not extremes.count:
        return {}
    found = {share: quantile(counts, edges, share) for share in QUANTILES}
    return {
        share: min(max(value, extremes.minimum), extremes.maximum) for share, value in found.items()
    }


def _finite(values: torch.Tensor) -> torch.Tensor:
    # the sum of finite float32 values is finite in float64, and faster than asking each of them
    is_finite = math.isfinite(float(values.sum(dtype=torch.float64)))
    return values if is_finite else values[values.isfinite()]
