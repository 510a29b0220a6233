"""Conditions on metrics, as recipes and the command line spell them: `kl_mean <= 0.02`."""

from __future__ import annotations

import math
import re

from quantcli.errors import UsageError
from quantcli.metrics import Metric, find_metric

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
        raise UsageError(f"not a gate: {text}: {limit} is no number", hint=_SPELLING) from None


def named_condition(name: str, limit: float) -> tuple[str, str, float]:
    """Return metric, operator and limit of a condition with a name.

    Raises `UsageError` where the metric is never on that side of the limit.
    """
    name_of_metric, operator = NAMED[name]
    metric = find_metric(name_of_metric)
    assert metric is not None
    check_limit(metric, operator, limit)
    return metric.name, operator, limit


def check_limit(metric: Metric, operator: str, limit: float) -> None:
    """Refuse a limit that the metric cannot have, or that no value of it meets. `UsageError`."""
    hint = _range(metric)
    if not math.isfinite(limit):
        raise UsageError(f"{metric.name}: {limit} is not a limit", hint=hint)
    if not metric.least <= limit <= metric.greatest:
        raise UsageError(f"{metric.name} is never {limit:g}", hint=hint)
    if (operator, limit) in {(">", metric.greatest), ("<", metric.least)}:
        raise UsageError(f"{metric.name} is never {operator} {limit:g}", hint=hint)


def _range(metric: Metric) -> str:
    if math.isinf(metric.least):
        return "any finite number"
    if math.isinf(metric.greatest):
        return f"it is {metric.least:g} or more"
    return f"it lies between {metric.least:g} and {metric.greatest:g}"
