"""The error of a block of values: products and sums in float64, whatever the values are in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch

from quantcli.execute.workspace import Workspace
from quantcli.formats import WeightFormat
from quantcli.inspection.error import TensorError


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some values, flat. Those of a quantized tensor have `codes`, in the same order.

    `step` is the difference between neighbouring codes where a format has a scale and a shift, else
    None: (groups, 1), or (1, columns) for one group whose columns have a scale each.
    """

    values: torch.Tensor
    codes: torch.Tensor | None = None
    step: torch.Tensor | None = None
    weight_format: WeightFormat | None = None


def block_error(original: torch.Tensor, block: Block, workspace: Workspace) -> TensorError:
    """Return the error of a block; `original` are the values that it was made from, flat."""
    found = _sums(original, block.values, workspace)
    if found is None:
        found = _finite_sums(original, block.values, workspace)
    if block.codes is None:
        return found
    return found + TensorError(coded=block.codes.numel(), saturated=_saturated(original, block))


def _sums(x: torch.Tensor, y: torch.Tensor, workspace: Workspace) -> TensorError | None:
    """Return the sums over all pairs, None if one of them is not finite."""
    count = x.numel()
    if count == 0:
        return TensorError()
    wide_x, wide_y = (workspace.take(name, torch.float64, count) for name in ("x", "y"))
    wide_x.copy_(x)
    wide_y.copy_(y)
    signal, result = (float(torch.dot(v, v)) for v in (wide_x, wide_y))
    if not signal + result < float("inf"):
        return None
    product = float(torch.dot(wide_x, wide_y))
    zeroed = int(torch.count_nonzero(x.bool() & ~y.bool()))
    noise = wide_x.sub_(wide_y)
    low, high = map(float, noise.aminmax())
    return TensorError(
        values=count,
        signal=signal,
        result=result,
        product=product,
        noise=float(torch.dot(noise, noise)),
        max_error=max(-low, high),
        zeroed=zeroed,
    )


def _finite_sums(x: torch.Tensor, y: torch.Tensor, workspace: Workspace) -> TensorError:
    """Return the sums over the pairs that are finite, and count the others."""
    finite = x.isfinite() & y.isfinite()
    same = (x == y) | (x.isnan() & y.isnan())
    found = _sums(x[finite], y[finite], workspace)
    if found is None:  # squares of float64 that overflow
        noise = float((x[finite] - y[finite]).abs().max())
        infinite = float("inf")
        found = TensorError(
            values=int(finite.sum()),
            signal=infinite,
            result=infinite,
            product=infinite,
            noise=infinite if noise else 0.0,
            max_error=noise,
        )
    return found + TensorError(
        not_finite=int((~finite).sum()), not_finite_changed=int((~finite & ~same).sum())
    )


def _saturated(x: torch.Tensor, block: Block) -> int:
    """Return how many values of a block are saturated (see `TensorError`)."""
    codes, weight_format = block.codes, block.weight_format
    assert codes is not None
    assert weight_format is not None
    if block.step is None:
        counts = torch.bincount(codes.view(torch.uint8), minlength=256)
        return int(counts[_ends(weight_format)].sum())
    groups = len(block.step) if block.step.shape[1] == 1 else -1
    width = -1 if groups > 0 else block.step.shape[1]
    beyond = (x - block.values).view(groups, width)
    (found,) = (beyond.abs() > block.step / 2).view(-1).nonzero(as_tuple=True)
    above, ends = x[found] > block.values[found], codes[found]
    last, first = ends == weight_format.maximum, ends == weight_format.minimum
    return int(torch.count_nonzero((last & above) | (first & ~above)))


@cache
def _ends(weight_format: WeightFormat) -> torch.Tensor:
    """Return which bytes are codes at an end of the range of a format with a scale alone."""
    storage = getattr(torch, weight_format.storage)
    codes = torch.arange(256, dtype=torch.uint8).view(storage).float()
    return (codes.abs() >= weight_format.maximum) & codes.isfinite()
