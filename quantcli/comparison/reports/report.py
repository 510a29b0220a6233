"""The report of a comparison, as plain data and as one JSON object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from quantcli.comparison.gates import Baseline, Judgement, Verdict
from quantcli.comparison.results import Comparison
from quantcli.inspection import Inspection


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The value of a metric in the baseline, and now."""

    metric: str
    before: float
    now: float


@dataclass(frozen=True, slots=True)
class Report:
    """A comparison, the verdicts on it, and the baseline.

    `inspection` is that of the quantized model against the original, if it was made: the HTML
    report shows it.
    """

    comparison: Comparison
    judgement: Judgement
    baseline: Baseline | None = None
    inspection: Inspection | None = None

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return self.judgement.passed

    @property
    def changes(self) -> tuple[Change, ...]:
        """The metrics that are also in the baseline."""
        before = self.baseline.metrics if self.baseline else {}
        return tuple(
            Change(metric=name, before=before[name].value, now=measured.value)
            for name, measured in self.comparison.metrics.items()
            if name in before
        )


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON types; non-finite values are None."""
    comparison, judgement = report.comparison, report.judgement
    return {
        "original": comparison.original.model,
        "quantized": comparison.quantized.model,
        "task": comparison.task,
        "samples": comparison.samples,
        "metrics": {name: _finite(measured.value) for name, measured in comparison.metrics.items()},
        "gates": [_gate(verdict, judgement) for verdict in judgement.verdicts],
        "passed": report.passed,
        "strict": judgement.strict,
        "report_only": judgement.report_only,
        "intervals": _intervals(comparison),
        "nonfinite": dict(comparison.nonfinite),
        "lost": comparison.lost,
        "unreached": list(comparison.unreached),
        "generated": [asdict(text) | {"same": text.same} for text in comparison.generated],
        "baseline": _baseline(report),
        "notices": list(comparison.notices),
        "models": {
            "original": asdict(comparison.original),
            "quantized": asdict(comparison.quantized),
        },
        "kernels": comparison.kernels,
        "sample_hash": comparison.sample_hash,
        "synthetic": comparison.synthetic,
        "seed": comparison.seed,
        "versions": dict(comparison.versions),
        "seconds": _finite(comparison.seconds),
    }


def _gate(verdict: Verdict, judgement: Judgement) -> dict[str, Any]:
    return {
        "metric": verdict.metric,
        "operator": verdict.operator,
        "limit": verdict.limit,
        "value": _finite(verdict.value),
        "low": _finite(verdict.low),
        "high": _finite(verdict.high),
        "status": verdict.status,
        "passed": judgement.accepts(verdict),
        "uncertain": verdict.uncertain,
        "message": verdict.message,
        "origin": verdict.origin,
    }


def _intervals(comparison: Comparison) -> Mapping[str, list[float | None]]:
    return {
        name: [_finite(measured.low), _finite(measured.high)]
        for name, measured in comparison.metrics.items()
        if measured.low is not None or measured.high is not None
    }


def _baseline(report: Report) -> dict[str, Any] | None:
    if report.baseline is None:
        return None
    changes = {
        change.metric: {
            "baseline": _finite(change.before),
            "value": _finite(change.now),
            "change": _finite(change.now - change.before),
        }
        for change in report.changes
    }
    return {"path": report.baseline.path, "changes": changes}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
