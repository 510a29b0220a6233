"""From a comparison and its requirements to verdicts."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator

from quantcli.comparison.gates.baseline import Baseline
from quantcli.comparison.gates.check import check_regressions, matching
from quantcli.comparison.gates.gate import (
    Gate,
    Judgement,
    Regression,
    Requirements,
    Status,
    Verdict,
)
from quantcli.comparison.metrics import catalogue_name
from quantcli.comparison.results import Comparison, Measurement
from quantcli.comparison.tasks import TASKS
from quantcli.errors import UsageError, did_you_mean

_HOLDS = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
}


def judge(comparison: Comparison, requirements: Requirements) -> Judgement:
    """Return a verdict for every gate, regression, and output with NaN or infinite values.

    Raises `UsageError` for a gate on an output that the model does not have, and for a regression
    of a metric that the baseline does not have.
    """
    baseline, regressions = requirements.baseline, requirements.regressions
    check_regressions(regressions, baseline, comparison.task)
    verdicts = [verdict for gate in requirements.gates for verdict in _of_gate(gate, comparison)]
    if baseline is not None:
        for regression in regressions:
            verdicts += _of_regression(regression, baseline, comparison)
    verdicts += _of_outputs(comparison)
    return Judgement(
        verdicts=tuple(verdicts),
        strict=requirements.strict,
        report_only=requirements.report_only,
    )


def _of_gate(gate: Gate, comparison: Comparison) -> Iterator[Verdict]:
    names = matching(gate.metric, comparison.metrics) or [gate.metric]
    for name in names:
        if name not in comparison.metrics:
            _check_output(gate, comparison)
        yield _verdict(name, gate, comparison, gate.origin)


def _of_regression(
    regression: Regression, baseline: Baseline, comparison: Comparison
) -> Iterator[Verdict]:
    for name in matching(regression.metric, baseline.metrics):
        before = baseline.metrics[name].value
        relation, limit = regression.limit(before)
        gate = Gate(metric=name, operator=relation, limit=limit, origin="baseline")
        reason = f"{before:.6g} in the baseline, {regression} worse at most"
        yield _verdict(name, gate, comparison, reason)


def _of_outputs(comparison: Comparison) -> Iterator[Verdict]:
    for output, count in comparison.nonfinite.items():
        if count:
            yield Verdict(
                metric=f"nonfinite_{output}",
                operator="<=",
                limit=0.0,
                value=float(count),
                status="failed",
                message=f"the output {output} has NaN or infinite values"
                f" in {count} of {comparison.samples} samples",
                origin="always",
            )


def _verdict(name: str, gate: Gate, comparison: Comparison, reason: str) -> Verdict:
    measured = comparison.metrics.get(name)
    status = _status(gate, measured)
    uncertain = status == "passed" and _is_uncertain(gate, measured)
    return Verdict(
        metric=name,
        operator=gate.operator,
        limit=gate.limit,
        value=measured.value if measured else None,
        low=measured.low if measured else None,
        high=measured.high if measured else None,
        status=status,
        uncertain=uncertain,
        message=f"{_message(name, gate, measured, status, uncertain=uncertain)} ({reason})",
        origin=gate.origin,
    )


def _status(gate: Gate, measured: Measurement | None) -> Status:
    if measured is None or math.isnan(measured.value):
        return "failed"
    return "passed" if _HOLDS[gate.operator](measured.value, gate.limit) else "failed"


def _is_uncertain(gate: Gate, measured: Measurement | None) -> bool:
    """Return whether the limit is inside the 95 % interval of the metric."""
    if measured is None or measured.low is None or measured.high is None:
        return False
    return measured.low < gate.limit < measured.high


def _message(
    name: str, gate: Gate, measured: Measurement | None, status: Status, *, uncertain: bool
) -> str:
    limit = f"{gate.operator} {gate.limit:.12g}"
    if measured is None:
        return f"{name} was not measured, but must be {limit}"
    if math.isnan(measured.value):
        return f"{name} is not a number, but must be {limit}"
    value = f"{name} is {_digits(gate.limit, measured.value)}"
    if status == "failed":
        return f"{value}, but must be {limit}"
    if not uncertain:
        return f"{value}, which is {limit}"
    assert measured.low is not None
    assert measured.high is not None
    low, high = (_digits(gate.limit, end) for end in (measured.low, measured.high))
    return f"{value}, which is {limit}, but uncertain: its 95 % interval is {low} to {high}"


def _digits(limit: float, value: float) -> str:
    """Format a value with 6 digits, or as many more as it takes to differ from the limit."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    for digits in range(6, 17):
        text = f"{value:.{digits}g}"
        if float(text) != limit:
            return text
    return f"{value:.12g}"


def _check_output(gate: Gate, comparison: Comparison) -> None:
    """Raise `UsageError` if the gate names an output that the model does not have."""
    pattern = catalogue_name(gate.metric)
    known = {metric.name for metric in TASKS[comparison.task].measured}
    known |= {pattern.replace("*", output) for output in comparison.nonfinite}
    if "*" in pattern and gate.metric not in known | {pattern}:
        raise UsageError(
            f"{gate.origin}: the model has no output for {gate.metric}",
            hint=did_you_mean(gate.metric, comparison.metrics),
        )
