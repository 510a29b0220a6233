"""Choose, measure for real, correct the prediction, choose again, until the gates hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from quantcli.comparison.gates import Gate, matching
from quantcli.comparison.metrics import find_metric
from quantcli.tuning.predicting import Choice, Link, Predictor
from quantcli.tuning.probing import score

if TYPE_CHECKING:
    from quantcli.comparison.reports import Report
    from quantcli.tuning.cache import Measured

ROUNDS = 7
"""Maximum number of models that are written and compared."""

CLOSE = 0.97
"""Stop when the score of a model that passes is within this share of what the gates allow."""

AIM = 0.985
"""Share of the allowed distance from perfect that is aimed at: a hair's breadth too much fails."""

RETREAT = 0.8
"""After every failure but the first the score becomes smaller by this factor once more."""

_LIMITS = ("<=", "<", ">=", ">")


@dataclass(frozen=True, slots=True)
class Trial:
    """One choice, written and compared."""

    choice: Choice
    report: Report

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return self.report.judgement.passed

    @property
    def metrics(self) -> dict[str, float]:
        """What was measured, by name."""
        return {name: found.value for name, found in self.report.comparison.metrics.items()}


Verify = Callable[[Choice], Trial]
"""Writes the model of a choice, and compares it with the original."""


@dataclass
class Correction:
    """The search for the smallest choice that meets gates; it learns from each trial."""

    predictor: Predictor
    links: dict[str, Link]
    gates: tuple[Gate, ...]
    trials: list[Trial] = field(default_factory=list)

    def run(self, verify: Verify) -> Trial | None:
        """Return the smallest choice that met the gates; else the one that came closest.

        None if no gate leaves anything that can be quantized.
        """
        limit = self.allowed()
        for _ in range(ROUNDS):
            choice = self.predictor.of_score(limit)
            if not choice.quantizes or self._was_tried(choice):
                break
            self.trials.append(verify(choice))
            self._learn(self.trials[-1])
            limit = self._next()
            best = self.smallest_passing
            if self._is_beyond_reach(self.trials[-1]):
                break
            if best is not None and (limit <= best.choice.score / CLOSE or not self._steers()):
                break
        return self.smallest_passing or self.closest

    @property
    def smallest_passing(self) -> Trial | None:
        """The smallest choice of which all gates passed."""
        passed = [trial for trial in self.trials if trial.passed]
        return min(passed, key=lambda trial: trial.choice.nbytes, default=None)

    @property
    def closest(self) -> Trial | None:
        """The choice with the least score, which is the closest if gates failed."""
        return min(self.trials, key=lambda trial: trial.choice.score, default=None)

    def allowed(self) -> float:
        """Return the score at which the gates are expected to be met just so."""
        scores = [
            link.score_for(_towards(link, gate.limit))
            for gate in self.gates
            for link in self._links_of(gate)
        ]
        return min(scores, default=0.0)

    def _next(self) -> float:
        """Return the score to try next: between what passed and what failed."""
        passed = max((t.choice.score for t in self.trials if t.passed), default=0.0)
        failed = min((t.choice.score for t in self.trials if not t.passed), default=math.inf)
        # the first failure corrects the prediction; where that is not enough, larger steps follow
        steps = 0 if passed else max(0, len(self.trials) - 1)
        found = min(self.allowed(), failed * RETREAT**steps)
        if passed and not passed < found < failed:
            return passed if failed < math.inf else found
        return found

    def _learn(self, trial: Trial) -> None:
        for name, link in self.links.items():
            if name in trial.metrics:
                link.correct(trial.choice.score, trial.metrics[name])

    def _was_tried(self, choice: Choice) -> bool:
        return any(trial.choice.chosen == choice.chosen for trial in self.trials)

    def _is_beyond_reach(self, trial: Trial) -> bool:
        """Return whether only gates failed that do not follow the score, such as on latency."""
        followed = {link.metric for gate in self.gates for link in self._links_of(gate)}
        failed = {verdict.metric for verdict in trial.report.judgement.failed}
        return bool(failed) and failed.isdisjoint(followed)

    def _steers(self) -> bool:
        return any(True for gate in self.gates for _ in self._links_of(gate))

    def _links_of(self, gate: Gate) -> Iterator[Link]:
        """Yield the links of the metrics that a gate limits on their bad side."""
        for name in matching(gate.metric, self.links):
            metric = find_metric(name)
            if name in self.links and metric is not None and gate.operator in _LIMITS:
                bad = "lower" if gate.operator.startswith("<") else "higher"
                if metric.better == bad:
                    yield self.links[name]


def make_links(measured: Measured, names: Sequence[str], floor: float) -> dict[str, Link]:
    """Return how each of these metrics follows the score, from the groups that were measured."""
    groups = [metrics for keys in measured.groups.values() for metrics in keys.values() if metrics]
    return {
        name: Link(name, measured.reference[name], _pairs(groups, name, floor))
        for name in names
        if name in measured.reference
    }


def _pairs(
    groups: Sequence[Mapping[str, float]], name: str, floor: float
) -> list[tuple[float, float]]:
    return [(score(metrics) - floor, metrics[name]) for metrics in groups if name in metrics]


def _towards(link: Link, limit: float) -> float:
    """Return a value a little on the better side of a limit."""
    return limit - (1 - AIM) * (limit - link.reference)
