"""Checks of gates and regressions, made before any model is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from quantcli.comparison.gates.baseline import Baseline
from quantcli.comparison.gates.gate import Gate, Regression, Requirements
from quantcli.comparison.gates.grammar import check_limit
from quantcli.comparison.metrics import ALWAYS, Metric, catalogue_name, find_metric
from quantcli.comparison.tasks import TASKS
from quantcli.errors import UsageError, did_you_mean


def check_requirements(requirements: Requirements, task: str, *, coverage_known: bool) -> None:
    """Raise `UsageError` if a gate or a regression does not fit the task or the baseline."""
    check_gates(requirements.gates, task, coverage_known=coverage_known)
    check_regressions(requirements.regressions, requirements.baseline, task)


def check_gates(gates: Iterable[Gate], task: str, *, coverage_known: bool) -> None:
    """Raise `UsageError` for a metric that the task does not have, or a limit that no value meets.

    `coverage_known` means that the quantized model is a frozen directory. The outputs of the task
    "outputs" are only known after the run: `judge` checks their names.
    """
    for gate in gates:
        metric = _find(gate.metric, task, gate.origin)
        if metric.name in ("coverage", "exercised") and not coverage_known:
            raise UsageError(
                f"{gate.origin}: {metric.name} is only known for frozen directories",
                hint="remove the gate, or quantize with quantcli",
            )
        try:
            check_limit(metric, gate.operator, gate.limit)
        except UsageError as error:
            raise UsageError(f"{gate.origin}: {error.message}", hint=error.hint) from None


def check_regressions(
    regressions: Sequence[Regression], baseline: Baseline | None, task: str
) -> None:
    """Raise `UsageError` for a metric that the task or the baseline does not have."""
    if regressions and baseline is None:
        raise UsageError("--max-regression needs a baseline", hint="give one with --baseline FILE")
    for regression in regressions:
        assert baseline is not None
        _find(regression.metric, task, "--max-regression")
        names = matching(regression.metric, baseline.metrics)
        if not any(name in baseline.metrics for name in names):
            raise UsageError(
                f"--max-regression: {regression.metric} is not in {baseline.path}",
                hint=did_you_mean(regression.metric, baseline.metrics),
            )
        for name in names:
            if not math.isfinite(baseline.metrics[name].value):
                raise UsageError(f"--max-regression: {name} is not finite in {baseline.path}")


def matching(name: str, metrics: Iterable[str]) -> list[str]:
    """Return the metrics that a gate is about: all that match a pattern, or the one named."""
    return [each for each in metrics if catalogue_name(each) == name] if "*" in name else [name]


def _find(name: str, task: str, origin: str) -> Metric:
    names = [metric.name for metric in TASKS[task].measured]
    metric = find_metric(name, (*TASKS[task].metrics, *ALWAYS))
    if metric is not None and _has(names, name):
        return metric
    if name in _names_of_all_tasks():
        hint = f"available: {', '.join(names)}"
        raise UsageError(f"{origin}: {name} is not measured for the task {task}", hint=hint)
    raise UsageError(f"{origin}: unknown metric: {name}", hint=did_you_mean(name, names))


def _has(metrics: list[str], name: str) -> bool:
    if "*" in name:
        return any(catalogue_name(metric) == name for metric in metrics)
    return any(fnmatchcase(name, metric) for metric in metrics)


def _names_of_all_tasks() -> set[str]:
    names = {metric.name for task in TASKS.values() for metric in task.measured}
    return names | {catalogue_name(name) for name in names}
