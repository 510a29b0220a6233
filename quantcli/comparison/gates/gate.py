"""What a comparison must meet, and the verdicts on it, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantcli.comparison.gates.baseline import Baseline
from quantcli.comparison.metrics import find_metric
from quantcli.text import plural

Status = Literal["passed", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A limit on a metric, or on every metric that a pattern such as `cosine_*` matches.

    `origin` is where it comes from, as messages call it: an option, "recipe" or "baseline".
    """

    metric: str
    operator: str
    limit: float
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """How much worse than the baseline a metric may be: a number, or percent of its value."""

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
class Requirements:
    """What a comparison must meet: gates, and regressions against a baseline.

    If `strict`, uncertain gates fail. If `report_only`, failed gates do not fail the command.
    """

    gates: tuple[Gate, ...] = ()
    regressions: tuple[Regression, ...] = ()
    baseline: Baseline | None = None
    strict: bool = False
    report_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of one gate. `value` is None if the metric was not measured.

    The measured value decides. A passed gate is `uncertain` if its limit is inside the 95 %
    interval: it might fail on other samples.
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
        """The gate as text, such as `kl_mean <= 0.02`."""
        return f"{self.metric} {self.operator} {self.limit:.12g}"

    @property
    def outcome(self) -> str:
        """The verdict as reports print it: passed, failed or uncertain."""
        return "uncertain" if self.uncertain else self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdicts on a comparison; `strict` and `report_only` are those of `Requirements`."""

    verdicts: tuple[Verdict, ...]
    strict: bool = False
    report_only: bool = False

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The gates that did not pass."""
        return tuple(verdict for verdict in self.verdicts if not self.accepts(verdict))

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return not self.failed

    @property
    def exit_ok(self) -> bool:
        """Whether the command succeeds: every gate passed, or failures are only reported."""
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

    def accepts(self, verdict: Verdict) -> bool:
        """Return whether a verdict counts as passed."""
        return verdict.status == "passed" and not (self.strict and verdict.uncertain)
