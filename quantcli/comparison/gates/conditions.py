"""Conditions on metrics, as recipes and the command line spell them: `kl_mean <= 0.02`."""

from __future__ import annotations

import math
import re

from quantcli.comparison.metrics import Metric, find_metric
from quantcli.errors import UsageError

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
"""A condition with a name of its own -> its metric and operator."""

_CONDITION = re.compile(r"\s*([^\s<>=]+)\s*(<=|>=|==|<|>)\s*([^\s<>=]+)\s*")

_SPELLING = "write metric, operator and limit: kl_mean<=0.02; operators: <=, >=, <, >, =="


def split_condition(text: str) -> tuple[str, str, float]:
    """Return metric, operator and limit of a condition. Raises `UsageError`."""
    found = _CONDITION.fullmatch(text)
    if not found:
        raise UsageError(f"not a gate: {text}", hint=_SPELLING)
    metric, operator, limit = found.groups()
    try:
        return metric, operator, float(limit)
    except ValueError:
        raise UsageError(f"not a gate: {text}: {limit} is not a number", hint=_SPELLING) from None


def named_condition(name: str, limit: float) -> tuple[str, str, float]:
    """Return metric, operator and limit of a condition with a name.

    Raises `UsageError` if the limit is out of the metric's range.
    """
    name_of_metric, operator = NAMED[name]
    metric = find_metric(name_of_metric)
    assert metric is not None
    check_limit(metric, operator, limit)
    return metric.name, operator, limit


def check_limit(metric: Metric, operator: str, limit: float) -> None:
    """Raise `UsageError` for a limit outside the metric's range, or that no value can meet."""
    hint = _range(metric)
    if not math.isfinite(limit):
        raise UsageError(f"{metric.name}: {limit} is not a finite number", hint=hint)
    if not metric.least <= limit <= metric.greatest:
        raise UsageError(f"{metric.name}: {limit:g} is out of range", hint=hint)
    if (operator, limit) in {(">", metric.greatest), ("<", metric.least)}:
        raise UsageError(f"{metric.name}: {operator} {limit:g} is out of range", hint=hint)


def _range(metric: Metric) -> str:
    if math.isinf(metric.least):
        return "give a number"
    if math.isinf(metric.greatest):
        return f"give {metric.least:g} or more"
    return f"give a number from {metric.least:g} to {metric.greatest:g}"
