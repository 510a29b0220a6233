"""Numbers as text that lines up on the decimal point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
    """Return numbers with all of their digits; spaces fill what some lack after the point."""
    texts = [f"{value:.10g}" for value in values]
    tails = [len(text) - len(text.partition(".")[0]) for text in texts]
    longest = max(tails, default=0)
    padded = (t + " " * (longest - tail) for t, tail in zip(texts, tails, strict=True))
    return Scaled(tuple(padded), 0)


def _text(value: float | None, factor: float, decimals: int) -> str:
    if value is None:
        return "-"
    text = f"{value * factor:.{decimals}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text  # no -0.000


def rows_of(texts: Iterable[str], columns: int) -> list[list[str]]:
    """Split texts into rows of `columns` each."""
    found = [*texts]
    return [found[start : start + columns] for start in range(0, len(found), columns)]


def decibels(value: float | None) -> str:
    """Return a ratio in dB; None, which is no error at all, is "exact"."""
    return "exact" if value is None else f"{value:.1f}"
