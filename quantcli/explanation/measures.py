"""How far a dtype moves the values: the errors, their size, and the SQNR."""

from __future__ import annotations

import math

import torch

from quantcli.explanation.explanation import Comparison, Grid
from quantcli.formats import DOWNCASTS, format_named


def grid(values: torch.Tensor) -> Grid:
    """Return a matrix as plain numbers: whole ones of a dtype of integers."""
    exact = values if not values.is_floating_point() else values.double()
    return tuple(tuple(row) for row in exact.tolist())


def compare(
    dtype: str, bits: float, values: torch.Tensor, restored: torch.Tensor, columns: slice
) -> Comparison:
    """Compare rows (rows, columns) with what a dtype makes of them, on a slice of the columns."""
    errors = restored.double() - values.double()
    shown = errors[:, columns].abs()
    return Comparison(
        dtype=dtype,
        bits=bits,
        errors=grid(errors[:, columns]),
        max_error=shown.max().item(),
        mean_error=shown.mean().item(),
        sqnr=sqnr(values[:, columns], errors[:, columns]),
        row_sqnr=sqnr(values, errors),
    )


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


def sqnr(values: torch.Tensor, errors: torch.Tensor) -> float | None:
    """Return the signal-to-quantization-noise ratio in dB; None without an error or a signal.

    10 log10 (sum of r^2 / sum of e^2).
    """
    noise = errors.double().square().sum().item()
    signal = values.double().square().sum().item()
    if noise == 0 or signal == 0 or not math.isfinite(noise):
        return None
    return 10 * math.log10(signal / noise)
