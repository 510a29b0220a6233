"""The grid of values that a group of columns is rounded to, and the search for its range.

Columns come first here: one tensor is (columns, rows), as the rows of a weight do not depend on
each other and are worked on side by side. Everything is computed in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from quantcli.quantizers.blockwise import tinygemm_shift

_ROWS, _TRIED = 128, 7
"""How many rows are searched with how many ranges at a time: a group of them stays in a core's
cache, and is large enough for the arithmetic to take longer than to call it."""

_STEPS = 7
"""How many ends are tried on either side of zero."""

_SMALLEST = {15: 0.7, 3: 0.3}
"""The share of the maximum and of the minimum to which a range is shrunk at most, by last code."""

_TINY = 1e-30
"""A smaller scale counts as zero: all values of such a group are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """How a grid is stored: codes from 0 to `maximum`, scale and shift in `dtype`.

    With `tinygemm` a shift is what is left of it in the TinyGemm layout.
    """

    maximum: int
    dtype: torch.dtype
    tinygemm: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Grid:
    """The values scale * code - shift of one group of each row; `scale`, `shift` are (rows,).

    They hold what is stored, exactly, in float32. Those of several grids may be (grids, rows), for
    values (columns, 1, rows).
    """

    scale: torch.Tensor
    shift: torch.Tensor
    storage: Storage

    @classmethod
    def of(cls, scale: torch.Tensor, shift: torch.Tensor, storage: Storage) -> Grid:
        """Return the grid nearest to a scale and shift in float32 that can be stored.

        Both stay within what the dtype holds, and so does scale * code.
        """
        largest = torch.finfo(storage.dtype).max
        # to_dtype rounds up at most half a step, which the largest scale must leave room for
        top = largest / storage.maximum * (1 - torch.finfo(storage.dtype).eps)
        rounded = scale.clamp(max=top).to(storage.dtype)
        moved = shift.clamp(-largest, largest).to(storage.dtype)
        if storage.tinygemm:
            moved = tinygemm_shift(rounded, moved)
        return cls(scale=rounded.float(), shift=moved.float(), storage=storage)

    @classmethod
    def between(cls, low: torch.Tensor, high: torch.Tensor, storage: Storage) -> Grid:
        """Return the grid from `low` to `high`, as Quanto's `MaxOptimizer` makes it."""
        # halves, because the difference of two large numbers may be infinite
        scale = (high / 2 - low / 2) / storage.maximum * 2
        return cls.of(scale, -low, storage)

    def codes(self, values: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return the nearest codes, in float32: clamp(round((value + shift) / scale))."""
        return self._positions(values, out).round_().clamp_(0, self.storage.maximum)

    def values(self, codes: torch.Tensor) -> torch.Tensor:
        """Return what codes stand for once dequantized, which rounds twice to the dtype."""
        dtype = self.storage.dtype
        if dtype == torch.float32:
            return (codes * self.scale).sub_(self.shift)
        return (codes * self.scale).to(dtype).sub_(self._stored_shift).float()

    def errors(self, values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the sum of weights (columns,) * (value - rounded)^2, like the scale."""
        positions = self._positions(values)
        off = positions.round().clamp_(0, self.storage.maximum).sub_(positions).square_()
        return (weights @ off.flatten(1)).view_as(self.scale).mul_(self.scale.square())

    def where(self, better: torch.Tensor, other: Grid) -> Grid:
        """Return this grid in the rows that are `better`, and the other in the rest."""
        scale = torch.where(better, self.scale, other.scale)
        return Grid(
            scale=scale,
            shift=torch.where(better, self.shift, other.shift),
            storage=self.storage,
        )

    def _positions(self, values: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return where values lie, in codes: (value + shift) / scale, and 0 where that is 0."""
        return torch.add(values, self.shift, out=out).mul_(self._inverse)

    @cached_property
    def _inverse(self) -> torch.Tensor:
        return torch.where(self.scale > _TINY, 1 / self.scale, 0)

    @cached_property
    def _stored_shift(self) -> torch.Tensor:
        return self.shift.to(self.storage.dtype)


def search(values: torch.Tensor, weights: torch.Tensor, storage: Storage) -> Grid:
    """Return the grid for values (columns, rows) with the least weighted error of those tried.

    Maximum and minimum are each shrunk in steps, independently of each other. The first grid is
    Quanto's, and is left only for one with less error.
    """
    parts = [_search(part, weights, storage) for part in values.split(_ROWS, dim=1)]
    return Grid(
        scale=torch.cat([part.scale for part in parts]),
        shift=torch.cat([part.shift for part in parts]),
        storage=storage,
    )


def _search(values: torch.Tensor, weights: torch.Tensor, storage: Storage) -> Grid:
    lower, upper = _shares(storage.maximum)
    tried = Grid.between(values.amin(dim=0) * lower, values.amax(dim=0) * upper, storage)
    parts = zip(tried.scale.split(_TRIED), tried.shift.split(_TRIED), strict=True)
    errors = torch.cat(
        [
            Grid(scale=scale, shift=shift, storage=storage).errors(values[:, None], weights)
            for scale, shift in parts
        ]
    )
    # without a scale a group has one value, and an error in codes says nothing of it
    errors[tried.scale <= _TINY] = torch.inf
    errors[0, tried.scale[0] <= _TINY] = 0
    best = errors.nan_to_num_(torch.inf).argmin(dim=0, keepdim=True)  # the first, if equal
    return Grid(
        scale=tried.scale.gather(0, best)[0],
        shift=tried.shift.gather(0, best)[0],
        storage=storage,
    )


def _shares(maximum: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pairs of shares of the minimum and of the maximum, (pairs, 1) each."""
    shares = torch.linspace(1, _SMALLEST[maximum], _STEPS)
    lower, upper = torch.cartesian_prod(shares, shares).T
    return lower[:, None], upper[:, None]
