"""How far a dtype moves the values: the errors, their size, and the SQNR."""

from __future__ import annotations

import math

import torch

from quantcli.execute.workspace import Workspace
from quantcli.explanation.explanation import Comparison, Grid
from quantcli.formats import DOWNCASTS, format_named
from quantcli.inspection.error import TensorError
from quantcli.inspection.sums import Block, block_error


def grid(values: torch.Tensor) -> Grid:
    """Return a matrix as plain numbers: whole ones of a dtype of integers."""
    exact = values if not values.is_floating_point() else values.double()
    return tuple(tuple(row) for row in exact.tolist())


def compare(
    dtype: str, bits: float, values: torch.Tensor, restored: torch.Tensor, columns: slice
) -> Comparison:
    """Compare rows (rows, columns) with what a dtype makes of them, on a slice of the columns."""
    errors = (restored.double() - values.double())[:, columns]
    shown = _error(values[:, columns], restored[:, columns])
    return Comparison(
        dtype=dtype,
        bits=bits,
        errors=grid(errors),
        max_error=errors.abs().max().item(),
        mean_error=errors.abs().mean().item(),
        sqnr=_sqnr(shown),
        row_sqnr=_sqnr(_error(values, restored)),
    )


def _error(values: torch.Tensor, restored: torch.Tensor) -> TensorError:
    block = Block(values=restored.reshape(-1))
    return block_error(values.reshape(-1), block, Workspace())


def _sqnr(error: TensorError) -> float | None:
    """Return the SQNR in dB: None without an error, minus infinity for infinite values."""
    if error.not_finite:
        return -math.inf
    return None if error.exact else error.sqnr_db


def casts(values: torch.Tensor, columns: slice, *, but: str) -> tuple[Comparison, ...]:
    """Compare rows with what a cast makes of them, for each downcast dtype except `but`."""
    return tuple(
        compare(name, format_named(name).bits, values, cast(values, name), columns)
        for name in DOWNCASTS
        if name != but
    )


def cast(values: torch.Tensor, dtype: str) -> torch.Tensor:
    """Return values in a dtype, by its name: the nearest number, infinite beyond the largest."""
    return values.to(getattr(torch, dtype))
