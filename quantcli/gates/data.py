"""What is asked of a comparison, and what became of it, as plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from quantcli.metrics import find_metric

Status = Literal["passed", "failed", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A limit on a metric, or on each of a family such as `cosine_*`.

    `origin` is what asked for it, as messages call it: an option, "recipe" or "baseline".
    """

    metric: str
    operator: str
    limit: float
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """How much worse than in the baseline a metric may be: a number, or percent of its value."""

    metric: str
    tolerance: float
    percent: bool = False

    def limit(self, value: float) -> tuple[str, float]:
        """Return operator and limit for a metric that had this value in the baseline."""
        allowed = abs(value) * self.tolerance / 100 if self.percent else self.tolerance
        metric = find_metric(self.metric)
        assert metric is not None
        return (">=", value - allowed) if metric.better == "higher" else ("<=", value + allowed)

    def __str__(self) -> str:
        return f"{self.tolerance:g}{'%' if self.percent else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a gate. `value` is None where the metric was not measured."""

    metric: str
    operator: str
    limit: float
    value: float | None
    low: float | None = None
    high: float | None = None
    status: Status
    message: str
    origin: str

    @property
    def condition(self) -> str:
        """What was asked, such as `kl_mean <= 0.02`."""
        return f"{self.metric} {self.operator} {self.limit:.12g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdicts on a comparison. An undecided gate fails where it is `strict`."""

    verdicts: tuple[Verdict, ...]
    strict: bool = False
    report_only: bool = False

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The gates that were not passed."""
        return tuple(verdict for verdict in self.verdicts if not self.lets_pass(verdict))

    @property
    def passed(self) -> bool:
        """Whether every gate was passed."""
        return not self.failed

    @property
    def exit_ok(self) -> bool:
        """Whether the command ends well: every gate was passed, or the report is all there is."""
        return self.passed or self.report_only

    @property
    def summary(self) -> str:
        """How many gates passed and failed, in a few words."""
        if not self.verdicts:
            return "no gates"
        counts = Counter(verdict.status for verdict in self.verdicts)
        parts = [
            f"{counts[status]} {status}"
            for status in ("passed", "undecided", "failed")
            if counts[status]
        ]
        gates = "1 gate" if len(self.verdicts) == 1 else f"{len(self.verdicts)} gates"
        strict = " (strict: undecided fails)" if self.strict and counts["undecided"] else ""
        return f"{gates}: {', '.join(parts)}{strict}"

    def lets_pass(self, verdict: Verdict) -> bool:
        """Tell whether a verdict counts as passed."""
        return verdict.status == "passed" or (verdict.status == "undecided" and not self.strict)
