"""Numbers for people: the digits and the unit that suit a metric."""

from __future__ import annotations

import math

from quantcli.comparison.metrics import family, find_metric

_DECIMALS = {
    "cosine_*": 6,
    "cosine_*_min": 6,
    "spearman_*": 6,
    "top1_agreement": 4,
    "perplexity_original": 3,
    "perplexity_quantized": 3,
    "perplexity_ratio": 5,
    "generation_match": 4,
    "generation_prefix": 4,
    "tokens_per_second_original": 1,
    "tokens_per_second_quantized": 1,
    "size_ratio": 3,
    "coverage": 4,
    "exercised": 4,
    "latency_ratio": 3,
}
"""Digits after the point, by metric or family; 3 significant digits for whatever is not here."""

_UNIT_DECIMALS = {"bytes": 3, "ms": 2, "dB": 2}

_BYTES = (("GB", 10**9), ("MB", 10**6), ("KB", 10**3))

_MOST = 14
"""More digits than this would tell of rounding only."""


def show(metric: str, value: float | None, *, more: int = 0) -> str:
    """Spell the value of a metric, with `more` digits than usual. None was not measured."""
    if value is None:
        return "not measured"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return _spell(metric, value, more)


def show_apart(metric: str, value: float | None, limit: float) -> tuple[str, str]:
    """Spell a value and the limit that it is held to, with enough digits to tell them apart."""
    written = _as_written(metric, limit)
    if value == limit:
        return (written or show(metric, value),) * 2
    for more in range(_MOST):
        texts = show(metric, value, more=more), show(metric, limit, more=more)
        if texts[0] != texts[1]:
            break
    return texts[0], written or texts[1]


def show_interval(metric: str, low: float | None, high: float | None) -> str:
    """Spell an interval; it is empty where there is none."""
    if low is None or high is None:
        return ""
    return f"{show(metric, low)} to {show(metric, high)}"


def show_change(metric: str, before: float, now: float) -> str:
    """Spell a change with its sign, in the metric's own digits."""
    change = now - before
    if math.isnan(change):
        return "NaN"
    return f"{'-' if change < 0 else '+'}{show(metric, abs(change))}"


def _spell(metric: str, value: float, more: int) -> str:
    unit = _unit(metric)
    if unit == "bytes":
        return _bytes(value, more)
    decimals = _UNIT_DECIMALS.get(unit, _DECIMALS.get(family(metric)))
    number = _significant(value, more) if decimals is None else f"{value:.{decimals + more}f}"
    return f"{number} {unit}" if unit in _UNIT_DECIMALS else number


def _significant(value: float, more: int) -> str:
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:#.{3 + more}g}"


def _bytes(value: float, more: int) -> str:
    for unit, size in _BYTES:
        if abs(value) >= size:
            return f"{value / size:.{3 + more}f} {unit}"
    return f"{value:.0f} B"


def _as_written(metric: str, limit: float) -> str:
    """Return a limit as its author wrote it; empty where it has a unit, or was computed."""
    if _unit(metric) in _UNIT_DECIMALS:
        return ""
    text = f"{limit:.6g}"
    return text if float(text) == limit else ""


def _unit(metric: str) -> str:
    entry = find_metric(metric)
    return entry.unit if entry else ""
