"""What is asked of a comparison, and what became of it, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantcli.comparison.metrics import find_metric
from quantcli.text import plural

Status = Literal["passed", "failed"]


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
    """What became of a gate. `value` is None where the metric was not measured.

    The measured value decides. A gate that it meets is `uncertain` if the limit lies inside the
    95 % interval: other samples might not have met it.
    """

    metric: str
    operator: str
    limit: float
    value: float | None
    low: float | None = None
    high: float | None = None
    status: Status
    uncertain: bool = False
    message: str
    origin: str

    @property
    def condition(self) -> str:
        """What was asked, such as `kl_mean <= 0.02`."""
        return f"{self.metric} {self.operator} {self.limit:.12g}"

    @property
    def outcome(self) -> str:
        """What a report calls it: passed, failed or uncertain."""
        return "uncertain" if self.uncertain else self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdicts on a comparison. If `strict`, an uncertain gate fails too."""

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
        passed = len(self.verdicts) - len(self.failed)
        parts = [f"{passed} passed", f"{len(self.failed)} failed"]
        uncertain = sum(verdict.uncertain for verdict in self.verdicts)
        if uncertain:
            parts[int(self.strict)] += f" ({uncertain} uncertain)"
        gates = plural(len(self.verdicts), "gate")
        return f"{gates}: {', '.join(part for part in parts if not part.startswith('0'))}"

    def lets_pass(self, verdict: Verdict) -> bool:
        """Tell whether a verdict counts as passed."""
        return verdict.status == "passed" and not (self.strict and verdict.uncertain)
