"""Gates and regressions from what a user writes: options, and the table of a recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from quantcli.comparison.gates.conditions import NAMED, named_condition, split_condition
from quantcli.comparison.gates.gate import Gate, Regression
from quantcli.comparison.metrics import TASKS, family, find_metric, metrics_of
from quantcli.errors import UsageError, did_you_mean

_SPELLING = "write metric and tolerance: cosine_text=5% or kl_mean=0.001"


def parse_gate(text: str, origin: str = "--gate") -> Gate:
    """Return the gate that `kl_mean<=0.02` spells. Raises `UsageError`."""
    try:
        metric, operator, limit = split_condition(text)
    except UsageError as error:
        raise UsageError(f"{origin}: {error.message}", hint=error.hint) from None
    return Gate(metric=metric, operator=operator, limit=limit, origin=origin)


def named_gate(name: str, limit: float, origin: str) -> Gate:
    """Return the gate with a name of its own, such as `min_cosine`. Raises `UsageError`."""
    try:
        metric, operator, limit = named_condition(name, limit)
    except UsageError as error:
        raise UsageError(f"{origin}: {error.message}", hint=error.hint) from None
    return Gate(metric=metric, operator=operator, limit=limit, origin=origin)


def gates_of(table: Mapping[str, Any]) -> tuple[Gate, ...]:
    """Return the gates of a recipe's `[gates]`: those with names, then those as text."""
    named = [(name, table[name]) for name in NAMED if table.get(name) is not None]
    return (
        *(named_gate(name, limit, "recipe") for name, limit in named),
        *(parse_gate(text, "recipe") for text in table.get("gate", ())),
    )


def parse_regression(text: str) -> Regression:
    """Return the regression that `cosine_text=5%` or `kl_mean=0.001` spells.

    Raises `UsageError` where it spells none, or the metric has no better and worse.
    """
    metric, equals, amount = (part.strip() for part in text.partition("="))
    percent = amount.endswith("%")
    tolerance = _number(amount.removesuffix("%"))
    if not (metric and equals) or not math.isfinite(tolerance) or tolerance < 0:
        raise UsageError(f"--max-regression: invalid tolerance: {text}", hint=_SPELLING)
    _check_metric(metric)
    return Regression(metric=metric, tolerance=tolerance, percent=percent)


def _check_metric(name: str) -> None:
    metric = find_metric(name)
    if metric is None or ("*" in name and family(name) != name):
        known = dict.fromkeys(entry.name for task in TASKS for entry in metrics_of(task))
        hint = did_you_mean(name, known)
        raise UsageError(f"--max-regression: unknown metric: {name}", hint=hint)
    if metric.better == "neither":
        message = f"--max-regression: {name} cannot get worse ({metric.what})"
        raise UsageError(message, hint="use a ratio, or a metric that compares both models")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
