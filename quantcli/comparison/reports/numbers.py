"""Numbers for people, in the digits and the unit of their metric."""

from __future__ import annotations

import math

from quantcli.comparison.metrics import Metric, any_metric
from quantcli.text import format_bytes

_SHOWN_UNITS = ("ms", "dB")
"""Units that are printed after a value; bytes are printed as KB, MB or GB."""


_MAX_DIGITS = 14
"""More additional digits would only show rounding errors."""


def show(metric: str, value: float | None, *, more: int = 0) -> str:
    """Format the value of a metric, with `more` digits than usual. None was not measured."""
    if value is None:
        return "not measured"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return _format(any_metric(metric), value, more)


def show_apart(metric: str, value: float | None, limit: float) -> tuple[str, str]:
    """Format a value and its limit with enough digits to tell them apart."""
    written = _as_written(metric, limit)
    if value == limit:
        return (written or show(metric, value),) * 2
    for more in range(_MAX_DIGITS):
        texts = show(metric, value, more=more), show(metric, limit, more=more)
        if texts[0] != texts[1]:
            break
    return texts[0], written or texts[1]


def show_interval(metric: str, low: float | None, high: float | None) -> str:
    """Format an interval; empty without one."""
    if low is None or high is None:
        return ""
    return f"{show(metric, low)} to {show(metric, high)}"


def show_change(metric: str, before: float, now: float) -> str:
    """Format a change with its sign, in the metric's digits."""
    change = now - before
    if math.isnan(change):
        return "NaN"
    return f"{'-' if change < 0 else '+'}{show(metric, abs(change))}"


def _format(metric: Metric, value: float, more: int) -> str:
    if metric.unit == "bytes":
        return format_bytes(value, 3 + more)
    if metric.decimals is None:
        number = _significant(value, more)
    else:
        number = f"{value:.{metric.decimals + more}f}"
    return f"{number} {metric.unit}" if metric.unit in _SHOWN_UNITS else number


def _significant(value: float, more: int) -> str:
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:#.{3 + more}g}"


def _as_written(metric: str, limit: float) -> str:
    """Return a limit as the user wrote it; empty if it is printed with a unit, or was computed."""
    if any_metric(metric).unit in ("bytes", *_SHOWN_UNITS):
        return ""
    text = f"{limit:.6g}"
    return text if float(text) == limit else ""
