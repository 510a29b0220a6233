"""Passed, failed or uncertain: every gate, whatever became of the others."""

from __future__ import annotations

import math

import pytest
from comparisons import comparison
from messages import assert_says, refuses

from quantcli.comparison.gates import (
    Judgement,
    Requirements,
    judge,
    load_baseline,
    parse_gate,
    parse_regression,
    save_baseline,
)
from quantcli.errors import UsageError


def verdicts(metrics, *gates, **changes):
    requirements = Requirements(gates=tuple(map(parse_gate, gates)))
    return judge(comparison(metrics, **changes), requirements).verdicts


@pytest.mark.parametrize(
    ("gate", "value", "status", "facts"),
    [
        pytest.param("kl_mean<=0.02", 0.01, "passed", ("0.01", "<= 0.02"), id="less-or-equal"),
        pytest.param("kl_mean<=0.02", 0.02, "passed", ("0.02", "<= 0.02"), id="equal"),
        pytest.param("kl_mean<0.02", 0.02, "failed", ("0.02", "< 0.02"), id="not-less"),
        pytest.param("kl_mean>0.02", 0.02, "failed", ("0.02", "> 0.02"), id="not-more"),
        pytest.param("kl_mean>=0.02", 0.02, "passed", ("0.02", ">= 0.02"), id="as-much"),
        pytest.param("kl_mean==0", 0.0, "passed", ("0", "== 0"), id="exactly"),
        pytest.param("kl_mean==0", 1e-9, "failed", ("1e-09", "== 0"), id="nearly"),
        pytest.param(
            "kl_mean<=0.02",
            0.0200000012,
            "failed",
            ("0.020000001", "<= 0.02"),
            id="digits-that-tell-apart",
        ),
        pytest.param(
            "bytes_quantized<=545000000",
            545123456.0,
            "failed",
            ("545123456", "<= 545000000"),
            id="whole-numbers",
        ),
        pytest.param(
            "kl_mean<=0.02",
            (0.01, 0.005, 0.015),
            "passed",
            ("0.01", "<= 0.02"),
            id="interval-below",
        ),
        pytest.param(
            "kl_mean<=0.02",
            (0.03, 0.025, 0.035),
            "failed",
            ("0.03", "<= 0.02"),
            id="interval-above",
        ),
        pytest.param(
            "kl_mean<=0.02",
            (0.018, 0.015, 0.0211),
            "uncertain",
            ("0.018", "<= 0.02", "uncertain", "95 %", "0.015", "0.0211"),
            id="inside-passing",
        ),
        pytest.param(
            "kl_mean<=0.02",
            (0.0205, 0.015, 0.03),
            "failed",
            ("0.0205", "<= 0.02"),
            id="inside-failing",
        ),
        pytest.param(
            "kl_mean<=0.02",
            (0.018, 0.015, 0.02),
            "passed",
            ("0.018", "<= 0.02"),
            id="at-the-end-of-the-interval",
        ),
        pytest.param("top1_agreement==1", (1.0, 1.0, 1.0), "passed", ("1", "== 1"), id="no-width"),
        pytest.param(
            "kl_mean<=0.02",
            math.nan,
            "failed",
            ("not a number", "<= 0.02"),
            id="nan",
        ),
        pytest.param(
            "kl_mean<=0.02",
            (math.nan, 0.01, 0.03),
            "failed",
            ("not a number", "<= 0.02"),
            id="nan-with-an-interval",
        ),
        pytest.param(
            "kl_mean<=0.02",
            (0.01, math.nan, math.nan),
            "passed",
            ("0.01", "<= 0.02"),
            id="interval-of-nan",
        ),
        pytest.param("kl_mean<=0.02", math.inf, "failed", ("inf", "<= 0.02"), id="infinite"),
    ],
)
def test_a_gate(gate, value, status, facts):
    name = parse_gate(gate).metric
    (verdict,) = verdicts({name: value}, gate, task="causal-lm")
    assert (verdict.metric, verdict.outcome) == (name, status)
    assert_says(verdict.message, name, "--gate", *facts)
    assert verdict.origin == "--gate"


@pytest.mark.parametrize(
    ("status", "strict", "report_only", "passed", "exit_ok"),
    [
        ("passed", False, False, True, True),
        ("passed", True, False, True, True),
        ("uncertain", False, False, True, True),
        ("uncertain", True, False, False, False),
        ("uncertain", True, True, False, True),
        ("failed", False, False, False, False),
        ("failed", True, False, False, False),
        ("failed", False, True, False, True),
        ("failed", True, True, False, True),
    ],
)
def test_what_a_verdict_comes_to(status, strict, report_only, passed, exit_ok):
    value = {"passed": 0.1, "uncertain": (0.2, 0.1, 0.4), "failed": 0.5}[status]
    requirements = Requirements(
        gates=(parse_gate("kl_mean<=0.3"), parse_gate("kl_max<=1")),
        strict=strict,
        report_only=report_only,
    )
    found = judge(comparison({"kl_mean": value, "kl_max": 0.5}, task="causal-lm"), requirements)
    assert [verdict.outcome for verdict in found.verdicts] == [status, "passed"]
    assert (found.passed, found.exit_ok) == (passed, exit_ok)
    assert found.failed == (() if passed else found.verdicts[:1])


@pytest.mark.parametrize(
    ("judgement", "summary"),
    [
        pytest.param(Judgement(verdicts=()), "no gates", id="none"),
        pytest.param(
            Judgement(verdicts=verdicts({"kl_mean": 0.5}, "kl_mean<=1", task="causal-lm")),
            "1 gate: 1 passed",
            id="one",
        ),
        pytest.param(
            Judgement(
                verdicts=verdicts(
                    {"kl_mean": (0.5, 0.2, 0.8), "kl_max": 2},
                    "kl_mean<=0.9",
                    "kl_mean<=0.6",
                    "kl_max<=1",
                    task="causal-lm",
                ),
                strict=True,
            ),
            "3 gates: 1 passed, 2 failed (1 uncertain)",
            id="all",
        ),
    ],
)
def test_summary(judgement, summary):
    assert judgement.summary == summary


def test_one_failure_does_not_hide_the_next():
    metrics = {"cosine_text": 0.5, "spearman_text": 0.4, "size_ratio": 0.9}
    gates = ("cosine_text>=0.9", "spearman_text>=0.9", "size_ratio<=0.3", "size_ratio<=0.95")
    found = verdicts(metrics, *gates)
    assert [verdict.status for verdict in found] == ["failed", "failed", "failed", "passed"]
    assert [verdict.condition for verdict in found][2] == "size_ratio <= 0.3"


def test_a_family_has_a_verdict_for_each_of_its_metrics():
    metrics = {"cosine_text": 0.95, "cosine_text_min": 0.1, "cosine_image": 0.8, "size_ratio": 0}
    found = verdicts(metrics, "cosine_*>=0.9", task="text-image-embedding")
    assert [(verdict.metric, verdict.status) for verdict in found] == [
        ("cosine_text", "passed"),
        ("cosine_image", "failed"),
    ]
    minima = verdicts(metrics, "cosine_*_min>=0", task="text-image-embedding")
    assert [verdict.metric for verdict in minima] == ["cosine_text_min"]


@pytest.mark.parametrize(
    ("gate", "task"),
    [
        pytest.param("spearman_text>=0.9", "text-embedding", id="metric"),
        pytest.param("spearman_*>=0.9", "text-embedding", id="family"),
        pytest.param("cosine_*>=0.9", "outputs", id="family-of-outputs"),
        pytest.param("coverage>=0.9", "outputs", id="metric-of-no-output"),
    ],
)
def test_what_was_not_measured_fails(gate, task):
    (verdict,) = verdicts({"size_ratio": 0.3}, gate, task=task)
    name = parse_gate(gate).metric
    assert (verdict.metric, verdict.value, verdict.status) == (name, None, "failed")
    assert_says(verdict.message, name, "not measured", ">= 0.9", "--gate")


def test_an_output_that_there_is_not():
    metrics = {"cosine_logits": 1.0, "sqnr_logits": 40.0}
    assert verdicts(metrics, "cosine_logits>=0.9", task="outputs")[0].status == "passed"
    with refuses(UsageError, ("--gate", "cosine_logit"), hint="cosine_logits"):
        verdicts(metrics, "cosine_logit>=0.9", task="outputs")


def test_values_that_are_not_finite_fail_always():
    found = judge(
        comparison({"cosine_text": math.nan}, nonfinite={"text": 3, "image": 0}), Requirements()
    )
    (verdict,) = found.verdicts
    assert (verdict.metric, verdict.operator, verdict.limit) == ("nonfinite_text", "<=", 0)
    assert (verdict.value, verdict.status, found.exit_ok) == (3, "failed", False)
    assert_says(verdict.message, "text", "NaN", "3 of 100")


def test_an_output_that_was_not_finite_is_not_taken_for_missing():
    found = verdicts({}, "cosine_logits>=0.9", task="outputs", nonfinite={"logits": 100})
    assert [verdict.metric for verdict in found] == ["cosine_logits", "nonfinite_logits"]
    assert {verdict.status for verdict in found} == {"failed"}


@pytest.fixture
def baseline(tmp_path):
    metrics = {"kl_mean": 0.02, "top1_agreement": 0.9, "kl_max": 1.0, "kl_median": 0.01}
    save_baseline(tmp_path / "b.json", comparison(metrics, task="causal-lm"))
    return load_baseline(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("regression", "metrics", "status", "facts"),
    [
        pytest.param(
            "kl_mean=50%",
            {"kl_mean": 0.029},
            "passed",
            ("kl_mean", "0.029", "<= 0.03", "0.02", "50%"),
            id="percent",
        ),
        pytest.param(
            "kl_mean=0.001",
            {"kl_mean": 0.0211},
            "failed",
            ("kl_mean", "0.0211", "<= 0.021", "0.02", "0.001"),
            id="number",
        ),
        pytest.param(
            "top1_agreement=10%",
            {"top1_agreement": (0.82, 0.8, 0.84)},
            "uncertain",
            ("top1_agreement", "0.82", ">= 0.81", "uncertain", "0.8", "0.84", "0.9", "10%"),
            id="uncertain",
        ),
        pytest.param("kl_max=0", {"kl_max": 0.5}, "passed", ("kl_max", "0.5", "<= 1"), id="better"),
        pytest.param(
            "kl_median=0",
            {},
            "failed",
            ("kl_median", "not measured", "<= 0.01", "0 worse"),
            id="not-measured",
        ),
    ],
)
def test_regressions(baseline, regression, metrics, status, facts):
    asked = Requirements(baseline=baseline, regressions=(parse_regression(regression),))
    (verdict,) = judge(comparison(metrics, task="causal-lm"), asked).verdicts
    assert (verdict.outcome, verdict.origin) == (status, "baseline")
    assert_says(verdict.message, facts)


def test_a_family_of_regressions(tmp_path):
    save_baseline(tmp_path / "b.json", comparison({"cosine_text": 1.0, "cosine_image": 0.5}))
    now = comparison({"cosine_text": 0.9, "cosine_image": 0.9}, task="text-image-embedding")
    baseline = load_baseline(tmp_path / "b.json")
    regressions = (parse_regression("cosine_*=1%"),)
    found = judge(now, Requirements(baseline=baseline, regressions=regressions))
    assert [verdict.status for verdict in found.verdicts] == ["failed", "passed"]


def test_regressions_are_checked_here_too(baseline):
    regressions = (parse_regression("size_ratio=1%"),)
    measured = comparison({}, task="causal-lm")
    with pytest.raises(UsageError, match="--max-regression needs a baseline"):
        judge(measured, Requirements(regressions=regressions))
    with pytest.raises(UsageError, match="size_ratio is not in "):
        judge(measured, Requirements(regressions=regressions, baseline=baseline))
