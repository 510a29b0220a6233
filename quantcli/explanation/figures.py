"""Numbers as text, in units and decimals that they share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quantcli.explanation.explanation import Explanation, Grid

DIGITS = 4
"""Significant digits of the largest number."""

SMALL = 1e-2
"""Numbers that are all below it are shown in units of a power of ten."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """Texts of numbers that all have the same decimals, in units of 10^`exponent`."""

    texts: tuple[str, ...]
    exponent: int

    @property
    def unit(self) -> str:
        """What follows a heading: " [1e-3]", or nothing."""
        return f" [1e{self.exponent}]" if self.exponent else ""


def scaled(values: Sequence[float | None], digits: int = DIGITS) -> Scaled:
    """Return numbers as texts; None is "-". Whole numbers stay whole."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    largest = max(map(abs, known), default=0.0)
    if largest == 0 or all(isinstance(value, int) for value in known):
        return Scaled(tuple(_text(value, 1.0, 0) for value in values), 0)
    power = math.floor(math.log10(largest))
    exponent = 3 * math.floor(power / 3) if largest < SMALL or power > 6 else 0
    decimals = max(0, digits - 1 - (power - exponent))
    return Scaled(tuple(_text(value, 10.0**-exponent, decimals) for value in values), exponent)


def exact(values: Sequence[float]) -> Scaled:
    """Return numbers with all of their digits."""
    return Scaled(tuple(f"{value:.10g}" for value in values), 0)


def _text(value: float | None, factor: float, decimals: int) -> str:
    if value is None:
        return "-"
    text = f"{value * factor:.{decimals}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text  # no -0.000


def texts_of(found: Explanation, grid: Grid) -> Scaled:
    """Return the numbers of the slice as texts; the codes of float8 with all of their digits."""
    flat = [value for row in grid for value in row]
    are_floats = grid is found.codes and found.method == "float8"
    return exact(flat) if are_floats else scaled(flat)


def rows_of(texts: Iterable[str], columns: int) -> list[list[str]]:
    """Split texts into rows of `columns` each."""
    found = [*texts]
    return [found[start : start + columns] for start in range(0, len(found), columns)]


def largest(*grids: Grid) -> float:
    """Return the largest absolute value of grids that is finite; 1 if all are 0."""
    values = (abs(value) for grid in grids for row in grid for value in row)
    return max((value for value in values if math.isfinite(value)), default=0) or 1.0


def decibels(value: float | None) -> str:
    """Return a ratio in dB; None, which is no error at all, is "exact"."""
    if value is None:
        return "exact"
    return f"{value:.1f}" if math.isfinite(value) else "-"
