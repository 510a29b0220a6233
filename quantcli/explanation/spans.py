"""The facts of each row or group that a slice touches."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from quantcli.explanation.bounds import clipped, half_steps, limits
from quantcli.explanation.explanation import Span
from quantcli.explanation.quantized import QuantizedRows
from quantcli.formats import WeightFormat


def spans(
    found: QuantizedRows, weight_format: WeightFormat, first: int, columns: range
) -> Iterator[Span]:
    """Yield the spans of quantized rows, of which `first` is the number of the first one.

    Only those that have one of these `columns`.
    """
    half = half_steps(found, weight_format)
    limit, beyond = limits(found, half), clipped(found, weight_format)
    errors = (found.restored.double() - found.values.double()).abs()
    touched = sorted(set(found.group_of[columns.start : columns.stop].tolist()))
    for row in range(len(found.values)):
        for group in touched:
            members = (found.group_of == group).nonzero().flatten()
            inside = _evenly(members.tolist())
            values = found.values[row, members].double()
            at = (row, int(members[0]))
            yield Span(
                row=first + row,
                columns=inside,
                minimum=values.min().item(),
                maximum=values.max().item(),
                scale=_at(found.scale, at),
                shift=None if found.stored_shift is None else _at(found.stored_shift, at),
                zero_point=_zero_point(found, weight_format, at),
                half_step=half[row, members].max().item(),
                limit=limit[row, members].max().item(),
                max_error=errors[row, members].max().item(),
                share=_share(errors[row, members], half[row, members]),
                clipped=int(beyond[row, members].sum()),
            )


def _evenly(members: list[int]) -> range:
    """Return columns as a range: they are side by side, or equally far apart."""
    step = members[1] - members[0] if len(members) > 1 else 1
    return range(members[0], members[-1] + 1, step)


def _at(part: torch.Tensor, at: tuple[int, int]) -> float:
    return part.expand(-1, max(part.shape[1], at[1] + 1))[at].item()


def _zero_point(
    found: QuantizedRows, weight_format: WeightFormat, at: tuple[int, int]
) -> int | None:
    """Return the textbook's Z, as `AffineOptimizer` computes it where it is asked to."""
    if found.shift is None:
        return 0
    scale, shift = _at(found.scale, at), _at(found.shift, at)
    if scale == 0:
        return None
    low, high = weight_format.minimum, weight_format.maximum
    return round(min(max(shift / scale, low), high))


def _share(errors: torch.Tensor, half: torch.Tensor) -> float:
    """Return the largest ratio of an error to its bound; 0 where there is no error."""
    ratio = torch.where(errors == 0, 0.0, errors / half).max().item()
    return ratio if math.isfinite(ratio) else math.inf
