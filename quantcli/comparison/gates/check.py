"""Gates that cannot be right, told before any model is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from quantcli.comparison.gates.baseline import Baseline
from quantcli.comparison.gates.conditions import check_limit
from quantcli.comparison.gates.gate import Gate, Regression
from quantcli.comparison.metrics import TASKS, Metric, family, find_metric, metrics_of
from quantcli.errors import UsageError, did_you_mean


def check_gates(gates: Iterable[Gate], task: str, *, coverage_known: bool) -> None:
    """Refuse gates on metrics that a task does not have, and limits that no value meets.

    `coverage_known` tells that the quantized side is a frozen directory. The outputs of the task
    "outputs" are not known before the run: `judge` checks their names. Raises `UsageError`.
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
    """Refuse regressions of metrics that the task or the baseline lacks. Raises `UsageError`."""
    if regressions and baseline is None:
        raise UsageError("--max-regression needs a baseline", hint="give one with --baseline FILE")
    for regression in regressions:
        assert baseline is not None
        _find(regression.metric, task, "--max-regression")
        names = select(regression.metric, baseline.metrics)
        if not any(name in baseline.metrics for name in names):
            raise UsageError(
                f"--max-regression: {regression.metric} is not in {baseline.path}",
                hint=did_you_mean(regression.metric, baseline.metrics),
            )
        for name in names:
            if not math.isfinite(baseline.metrics[name].value):
                raise UsageError(f"--max-regression: {name} is not finite in {baseline.path}")


def select(name: str, metrics: Iterable[str]) -> list[str]:
    """Return the metrics that a gate is about: those of a family, or the one of that name."""
    return [each for each in metrics if family(each) == name] if "*" in name else [name]


def _find(name: str, task: str, origin: str) -> Metric:
    metrics = [metric.name for metric in metrics_of(task)]
    metric = find_metric(name, task)
    if metric is not None and _has(metrics, name):
        return metric
    if name in _names_of_all_tasks():
        hint = f"available: {', '.join(metrics)}"
        raise UsageError(f"{origin}: {name} is not measured for the task {task}", hint=hint)
    raise UsageError(f"{origin}: unknown metric: {name}", hint=did_you_mean(name, metrics))


def _has(metrics: list[str], name: str) -> bool:
    if "*" in name:
        return any(family(metric) == name for metric in metrics)
    return any(fnmatchcase(name, metric) for metric in metrics)


def _names_of_all_tasks() -> set[str]:
    names = {metric.name for task in TASKS for metric in metrics_of(task)}
    return names | {family(name) for name in names}
