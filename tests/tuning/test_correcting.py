"""The search corrects its prediction until the gates hold, or says what came closest."""

from __future__ import annotations

import pytest

from quantcli.comparison.gates import Judgement, parse_gate
from quantcli.comparison.gates.verdicts import _verdict
from quantcli.tuning.correcting import CLOSE, ROUNDS, Correction, Trial
from quantcli.tuning.predicting import Choice, Link, find_floor


class Continuous:
    """Choices without steps: 100 bytes at a score of 1, ten times as many at a tenth of it."""

    def of_score(self, limit):
        score = max(limit, 1e-9)
        return Choice(chosen={"m": f"{score:.6g}"}, nbytes=round(100 / score), score=score)


def correction(gate, *, factor=1.0, power=1.0):
    parsed = parse_gate(gate)
    pairs = [(score, factor * score**power) for score in (0.1, 1.0)]
    return Correction(Continuous(), {parsed.metric: Link(parsed.metric, 0.0, pairs)}, (parsed,))


def world(search, metric, value_of):
    """Return what measures a choice: `value_of` its score."""
    from types import SimpleNamespace as Plain

    from quantcli.comparison.results import Measurement

    def verify(choice):
        comparison = Plain(metrics={metric: Measurement(value=value_of(choice.score))})
        verdicts = tuple(_verdict(metric, gate, comparison, "") for gate in search.gates)
        return Trial(choice, Plain(comparison=comparison, judgement=Judgement(verdicts=verdicts)))

    return verify


@pytest.mark.parametrize(
    "value_of",
    [
        pytest.param(lambda s: s, id="as predicted"),
        pytest.param(lambda s: 3 * s, id="three times worse"),
        pytest.param(lambda s: s / 3, id="three times better"),
        pytest.param(lambda s: 0.004 + 0.7 * s**1.2, id="another shape, and a floor"),
    ],
)
def test_it_ends_close_to_the_gate_and_below(value_of):
    search = correction("kl_mean<=0.05")
    trial = search.run(world(search, "kl_mean", value_of))
    assert trial.passed
    assert 0.9 * 0.05 < value_of(trial.choice.score) <= 0.05
    assert len(search.trials) <= ROUNDS
    assert trial is search.smallest_passing


def test_a_gate_that_nothing_meets_gives_what_came_closest():
    search = correction("kl_mean<=0.05")
    trial = search.run(world(search, "kl_mean", lambda _: 0.06))
    assert not trial.passed
    assert trial is search.closest
    scores = [found.choice.score for found in search.trials]
    assert scores == sorted(scores, reverse=True)


def test_a_metric_that_is_better_higher():
    search = correction("kl_mean<=0.05")
    search.links = {"top1_agreement": Link("top1_agreement", 1.0, [(0.01, 0.95), (0.04, 0.9)])}
    search.gates = (parse_gate("top1_agreement>=0.9"),)
    trial = search.run(world(search, "top1_agreement", lambda s: 1 - 0.4 * s**0.5))
    assert trial.passed
    assert 0.9 <= 1 - 0.4 * trial.choice.score**0.5 < 0.91


def test_a_power_law_is_found_from_groups():
    link = Link("top1_agreement", 1.0, [(s, 1 - 0.5 * s**0.5) for s in (0.001, 0.01, 0.1)])
    assert link.power == pytest.approx(0.5)
    assert link.predict(0.04) == pytest.approx(0.9)
    assert link.score_for(0.9) == pytest.approx(0.04)


def test_far_from_what_was_compared_the_groups_are_followed():
    link = Link("kl_mean", 0.0, [(s, s) for s in (0.01, 0.1, 1.0)])
    link.correct(0.100, 0.0500)
    link.correct(0.101, 0.0514)  # close together, and steep
    assert link.predict(0.1) == pytest.approx(0.05)
    assert 0.05 < link.predict(0.1005) < 0.0514
    assert link.predict(1.01) == pytest.approx(0.514)
    assert link.predict(0.01) == pytest.approx(0.005)
    assert link.predict(0) == 0


def test_the_floor_is_what_damage_does_not_explain():
    groups = [[(d, 0.002 + k * d) for d in (1.0, 20.0)] for k in (0.001, 0.01, 0.0003)]
    assert find_floor(groups) == pytest.approx(0.002)
    assert find_floor([[(1.0, 0.5)]]) == 0


def test_close_is_near_enough():
    assert 0.9 < CLOSE < 1
