"""Gates and regressions as users write them: options and the `[gates]` table of a recipe."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from quantcli.comparison.gates.gate import Gate, Regression
from quantcli.comparison.metrics import Metric, catalogue_name, find_metric
from quantcli.comparison.tasks import TASKS
from quantcli.errors import UsageError, did_you_mean

NAMED = {
    "min_cosine": ("cosine_*", ">="),
    "max_kl": ("kl_mean", "<="),
    "min_top1": ("top1_agreement", ">="),
    "max_ppl_ratio": ("perplexity_ratio", "<="),
    "min_generation_match": ("generation_match", ">="),
    "max_size_ratio": ("size_ratio", "<="),
    "max_latency_ratio": ("latency_ratio", "<="),
    "min_coverage": ("coverage", ">="),
    "min_exercised": ("exercised", ">="),
}
"""The gates that have a name of their own: their metric and operator."""

_CONDITION = re.compile(r"\s*([^\s<>=]+)\s*(<=|>=|==|<|>)\s*([^\s<>=]+)\s*")

_GATE_HINT = "write metric, operator and limit: kl_mean<=0.02; operators: <=, >=, <, >, =="
_REGRESSION_HINT = "write metric and tolerance: cosine_text=5% or kl_mean=0.001"


def parse_gate(text: str, origin: str = "--gate") -> Gate:
    """Return the gate that a text such as `kl_mean<=0.02` describes. Raises `UsageError`."""
    found = _CONDITION.fullmatch(text)
    if not found:
        raise UsageError(f"not a gate: {text}", hint=_GATE_HINT)
    metric, operator, limit = found.groups()
    number = _number(limit)
    if number is None:
        raise UsageError(f"not a gate: {text}: {limit} is not a number", hint=_GATE_HINT)
    return Gate(metric=metric, operator=operator, limit=number, origin=origin)


def named_gate(name: str, limit: float, origin: str) -> Gate:
    """Return a gate by its name in `NAMED`. Raises `UsageError` if the limit is out of range."""
    name_of_metric, operator = NAMED[name]
    metric = find_metric(name_of_metric)
    assert metric is not None
    check_limit(metric, operator, limit)
    return Gate(metric=metric.name, operator=operator, limit=limit, origin=origin)


def gates_of(table: Mapping[str, Any], origin: str | None = None) -> tuple[Gate, ...]:
    """Return the gates in a valid `[gates]` table: named ones, then those written as text.

    `origin` is what messages call their source, by default the option of each gate.
    """
    named = [(name, table[name]) for name in NAMED if table.get(name) is not None]
    return (
        *(named_gate(name, limit, origin or option(name)) for name, limit in named),
        *(parse_gate(text, origin or option("gate")) for text in table.get("gate", ())),
    )


def option(key: str) -> str:
    """Return the command-line option for a key of a recipe: `--min-cosine` for `min_cosine`."""
    return f"--{key.replace('_', '-')}"


def parse_regression(text: str) -> Regression:
    """Return the regression that `cosine_text=5%` or `kl_mean=0.001` describes.

    Raises `UsageError` for invalid text, and for a metric that cannot get better or worse.
    """
    metric, equals, amount = (part.strip() for part in text.partition("="))
    percent = amount.endswith("%")
    tolerance = _number(amount.removesuffix("%"))
    if not (metric and equals) or tolerance is None or not 0 <= tolerance < math.inf:
        raise UsageError(f"invalid tolerance: {text}", hint=_REGRESSION_HINT)
    _check_regressing(metric)
    return Regression(metric=metric, tolerance=tolerance, percent=percent)


def check_limit(metric: Metric, operator: str, limit: float) -> None:
    """Raise `UsageError` if a limit is outside the metric's range, or no value can meet it."""
    hint = _range(metric)
    if not math.isfinite(limit):
        raise UsageError(f"{metric.name}: {limit} is not a finite number", hint=hint)
    if not metric.minimum <= limit <= metric.maximum:
        raise UsageError(f"{metric.name}: {limit:g} is out of range", hint=hint)
    if (operator, limit) in {(">", metric.maximum), ("<", metric.minimum)}:
        raise UsageError(f"{metric.name}: {operator} {limit:g} is out of range", hint=hint)


def _range(metric: Metric) -> str:
    if math.isinf(metric.minimum):
        return "give a number"
    if math.isinf(metric.maximum):
        return f"give {metric.minimum:g} or more"
    return f"give a number from {metric.minimum:g} to {metric.maximum:g}"


def _check_regressing(name: str) -> None:
    metric = find_metric(name)
    if metric is None or ("*" in name and catalogue_name(name) != name):
        known = dict.fromkeys(entry.name for task in TASKS.values() for entry in task.measured)
        raise UsageError(f"unknown metric: {name}", hint=did_you_mean(name, known))
    if metric.better == "neither":
        raise UsageError(
            f"{name} cannot get worse ({metric.description})",
            hint="use a ratio, or a metric that compares both models",
        )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
