"""The tables and sentences of a report as text, for the terminal and for every format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quantcli.comparison.gates import Judgement
from quantcli.comparison.metrics import any_metric, catalogue_name
from quantcli.comparison.reports.numbers import show, show_apart, show_change, show_interval
from quantcli.comparison.reports.report import Report
from quantcli.comparison.results import Comparison, Generated, Measurement, group_names
from quantcli.comparison.tasks import TASKS
from quantcli.text import plural

GATE_COLUMNS = ("gate", "limit", "value", "95 % interval", "verdict")
METRIC_COLUMNS = ("metric", "value", "95 % interval", "what it is")
SIDE_COLUMNS = ("metric", "original", "quantized", "ratio")
CHANGE_COLUMNS = ("metric", "baseline", "now", "change")
UNREACHED_COLUMNS = ("module", "count")
UNREACHED_TITLE = "Quantized modules that no sample reached"

NUMBERS = frozenset(
    {"limit", "value", "95 % interval", "original", "quantized", "ratio", "baseline", "now"}
    | {"change", "count"}
)
"""Columns that are aligned right."""

CODE = frozenset(["gate", "metric", "module", "limit"])
"""Columns that are formatted as code."""

MAX_TEXTS = 20
"""Maximum number of generated texts: a step summary of GitHub Actions takes 1 MiB."""


def verdict(judgement: Judgement) -> tuple[str, str]:
    """Return the verdict as a word or two, and the rest of the sentence."""
    if not judgement.verdicts:
        return "No gates", " were set"
    note = ", reported only" if judgement.report_only and not judgement.passed else ""
    return "Passed" if judgement.passed else "Failed", f"{note}: {judgement.summary}"


def subject(comparison: Comparison) -> str:
    """Return what was compared, and on how much, as a sentence."""
    samples = plural(comparison.samples, "sample")
    synthetic = ", synthetic" if comparison.synthetic else ""
    lost = f"; {comparison.lost} of them gave NaN or infinite values" if comparison.lost else ""
    return f"Compared as {comparison.task} on {samples}{synthetic}{lost}."


def environment(comparison: Comparison) -> list[str]:
    """Return the versions, the hash of the samples, the seed and the time it took."""
    return [
        *(f"{name} {version}" for name, version in comparison.versions.items()),
        f"samples {comparison.sample_hash[:12]}",
        f"seed {comparison.seed}",
        *([comparison.kernels] if comparison.kernels else []),
        f"{comparison.seconds:.1f} s",
    ]


def shown_texts(generated: Sequence[Generated]) -> Sequence[Generated]:
    """Return at most `MAX_TEXTS` texts, those that differ first if some are left out."""
    if len(generated) <= MAX_TEXTS:
        return generated
    return sorted(generated, key=lambda text: text.same)[:MAX_TEXTS]


def texts_left_out(generated: Sequence[Generated]) -> str:
    """Return how many of the texts are shown, as a sentence."""
    same = sum(text.same for text in generated)
    return f"Showing {MAX_TEXTS} of {len(generated)} texts; {same} are the same."


def gate_rows(report: Report) -> list[tuple[str, ...]]:
    """Return metric, limit, value, interval and verdict of each gate."""
    rows: list[tuple[str, ...]] = []
    for verdict in report.judgement.verdicts:
        value, limit = show_apart(verdict.metric, verdict.value, verdict.limit)
        interval = show_interval(verdict.metric, verdict.low, verdict.high)
        condition = f"{verdict.operator} {limit}"
        rows.append((verdict.metric, condition, value, interval, verdict.outcome))
    return rows


def metric_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return name, value, interval and description of each metric that compares both models."""
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
    """Return name, both values and ratio of each metric of the two models."""
    metrics = comparison.metrics
    rows: list[tuple[str, ...]] = []
    for name, other in sides(comparison):
        ratio = any_metric(name).ratio
        rows.append(
            (
                name.replace("_original", ""),
                show(name, metrics[name].value) + _error(metrics, f"{name}_error"),
                show(other, metrics[other].value) + _error(metrics, f"{other}_error"),
                show(ratio, metrics[ratio].value) if ratio in metrics else "",
            )
        )
    return rows


def sides(comparison: Comparison) -> list[tuple[str, str]]:
    """Return the metrics of the original, each with the same one of the quantized model."""
    pairs = [(name, _other_side(name)) for name in _ordered(comparison)]
    return [
        (name, other)
        for name, other in pairs
        if other in comparison.metrics and not name.endswith("_error")
    ]


def change_rows(report: Report) -> list[tuple[str, ...]]:
    """Return metric, baseline, value and change of each metric that can get better or worse."""
    changes = {change.metric: change for change in report.changes}
    return [
        (
            name,
            show(name, changes[name].before),
            show(name, changes[name].now),
            show_change(name, changes[name].before, changes[name].now),
        )
        for name in _ordered(report.comparison)
        if name in changes and any_metric(name).better != "neither"
    ]


def unreached_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the patterns of the quantized modules that no sample reached, and their counts."""
    groups = group_names(comparison.unreached)
    return [(pattern, str(count)) for pattern, count in groups.items()]


def _ordered(comparison: Comparison) -> list[str]:
    """Return the names of the metrics in the order of the task's."""
    names = [catalogue_name(metric.name) for metric in TASKS[comparison.task].measured]
    order = {name: rank for rank, name in reversed(list(enumerate(names)))}
    return sorted(comparison.metrics, key=lambda name: order.get(catalogue_name(name), len(names)))


def _other_side(name: str) -> str:
    """Return the metric of the quantized model for one of the original, "" for any other."""
    # a model may have an output whose name contains "_original"
    if "_original" not in name or "*" in catalogue_name(name):
        return ""
    return name.replace("_original", "_quantized")


def _in_side_rows(metrics: Mapping[str, Measurement]) -> set[str]:
    """Return the metrics without a row of their own: those of one model, and standard errors."""
    pairs = {(name, _other_side(name)) for name in metrics if _other_side(name) in metrics}
    errors = {f"{name}_error" for name in metrics if f"{name}_error" in metrics}
    return {name for pair in pairs for name in pair} | errors


def _error(metrics: Mapping[str, Measurement], name: str) -> str:
    return f" ± {show(name, metrics[name].value)}" if name in metrics else ""


def _what(name: str) -> str:
    metric = any_metric(name)
    return f"{metric.description}, nat" if metric.unit == "nat" else metric.description
