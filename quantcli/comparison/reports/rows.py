"""The tables of a report as rows of text, for Markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from quantcli.comparison import Comparison, Measurement, group_names
from quantcli.comparison.metrics import family, find_metric, metrics_of
from quantcli.comparison.reports.format import show, show_apart, show_change, show_interval
from quantcli.comparison.reports.report import Report

GATE_COLUMNS = ("gate", "limit", "value", "95 % interval", "verdict")
METRIC_COLUMNS = ("metric", "value", "95 % interval", "what it is")
SIDE_COLUMNS = ("metric", "original", "quantized", "ratio")
CHANGE_COLUMNS = ("metric", "baseline", "now", "change")
UNREACHED_COLUMNS = ("module", "count")
UNREACHED_TITLE = "Quantized modules that no sample reached"

_RATIOS = {"bytes": "size_ratio", "latency": "latency_ratio", "perplexity": "perplexity_ratio"}
"""A metric of both sides -> their ratio."""


def gate_rows(report: Report) -> list[tuple[str, ...]]:
    """Return metric, limit, value, interval and verdict of each gate."""
    rows: list[tuple[str, ...]] = []
    for verdict in report.judgement.verdicts:
        value, limit = show_apart(verdict.metric, verdict.value, verdict.limit)
        interval = show_interval(verdict.metric, verdict.low, verdict.high)
        asked = f"{verdict.operator} {limit}"
        rows.append((verdict.metric, asked, value, interval, verdict.outcome))
    return rows


def metric_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return name, value, interval and meaning of each metric that compares both sides."""
    metrics, paired = comparison.metrics, _in_side_rows(comparison.metrics)
    return [
        (
            name,
            show(name, metrics[name].value) + _error(metrics, f"{name}_error"),
            show_interval(name, metrics[name].low, metrics[name].high),
            _what(name),
        )
        for name in _ordered(comparison)
        if name not in paired
    ]


def side_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return what was measured of each side: its name, both values, and their ratio."""
    metrics = comparison.metrics
    rows: list[tuple[str, ...]] = []
    for name in _ordered(comparison):
        other = _other_side(name)
        if other not in metrics or name.endswith("_error"):
            continue
        subject = name.replace("_original", "")
        ratio = metrics.get(_RATIOS.get(subject, ""))
        rows.append(
            (
                subject,
                show(name, metrics[name].value) + _error(metrics, f"{name}_error"),
                show(other, metrics[other].value) + _error(metrics, f"{other}_error"),
                show(_RATIOS[subject], ratio.value) if ratio else "",
            )
        )
    return rows


def change_rows(report: Report) -> list[tuple[str, ...]]:
    """Return metric, baseline, value and change of what has a better and a worse."""
    changes = {change.metric: change for change in report.changes}
    return [
        (
            name,
            show(name, changes[name].before),
            show(name, changes[name].now),
            show_change(name, changes[name].before, changes[name].now),
        )
        for name in _ordered(report.comparison)
        if name in changes and _better(name) != "neither"
    ]


def unreached_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the quantized modules that no sample reached, and how many share a pattern."""
    groups = group_names(comparison.unreached)
    return [(pattern, str(count)) for pattern, count in groups.items()]


def _ordered(comparison: Comparison) -> list[str]:
    """Return the names of the metrics as the catalogue lists them, a mean before its least."""
    catalogue = [family(metric.name) for metric in metrics_of(comparison.task)]
    order = {name: rank for rank, name in reversed(list(enumerate(catalogue)))}
    order["cosine_*"] = -1
    return sorted(comparison.metrics, key=lambda name: order.get(family(name), len(catalogue)))


def _other_side(name: str) -> str:
    """Return the quantized side's name of a metric of the original, or "" of any other."""
    # Not of an output's metric, whatever a model calls its outputs.
    if "_original" not in name or "*" in family(name):
        return ""
    return name.replace("_original", "_quantized")


def _in_side_rows(metrics: Mapping[str, Measurement]) -> set[str]:
    """Return the metrics that have no row of their own: those of a side, and standard errors."""
    pairs = {(name, _other_side(name)) for name in metrics if _other_side(name) in metrics}
    errors = {f"{name}_error" for name in metrics if f"{name}_error" in metrics}
    return {name for pair in pairs for name in pair} | errors


def _error(metrics: Mapping[str, Measurement], name: str) -> str:
    return f" ± {show(name, metrics[name].value)}" if name in metrics else ""


def _what(name: str) -> str:
    metric = find_metric(name)
    if metric is None:
        return ""
    return f"{metric.what}, {metric.unit}" if metric.unit == "nat" else metric.what


def _better(name: str) -> str:
    metric = find_metric(name)
    return metric.better if metric else "neither"
