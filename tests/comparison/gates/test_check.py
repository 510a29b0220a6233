"""Gates and regressions that cannot be right are told of before a model is loaded."""

from __future__ import annotations

import math

import pytest
from comparisons import comparison
from messages import refuses

from quantcli.comparison.gates import (
    check_gates,
    check_regressions,
    load_baseline,
    parse_gate,
    parse_regression,
    save_baseline,
)
from quantcli.comparison.gates.gate import Gate
from quantcli.comparison.tasks import TASKS
from quantcli.errors import UsageError

HAS = ", ".join(metric.name for metric in TASKS["text-embedding"].measured)


@pytest.mark.parametrize(
    ("task", "text"),
    [
        pytest.param("text-embedding", "cosine_text>=0.999", id="metric"),
        pytest.param("text-image-embedding", "cosine_*>=0.999", id="family"),
        pytest.param("text-embedding", "cosine_*_min>=-1", id="family-of-the-minimum"),
        pytest.param("text-embedding", "cosine_text<=0.5", id="the-other-way"),
        pytest.param("causal-lm", "kl_mean<=0", id="at-the-end-of-the-range"),
        pytest.param("causal-lm", "top1_agreement==1", id="equal"),
        pytest.param("outputs", "cosine_anything>=0.9", id="output"),
        pytest.param("outputs", "sqnr_hidden.0>=-3", id="output-with-a-dot"),
        pytest.param("outputs", "sqnr_*>=20", id="outputs"),
        pytest.param("image-embedding", "bytes_quantized<=1e9", id="always"),
        pytest.param("image-embedding", "coverage>=0.5", id="coverage"),
    ],
)
def test_gates_that_can_be_right(task, text):
    check_gates([parse_gate(text)], task, coverage_known=True)


@pytest.mark.parametrize(
    ("task", "text", "message", "hint"),
    [
        pytest.param(
            "causal-lm",
            "kl_men<=1",
            "unknown metric: kl_men",
            "did you mean kl_mean?",
            id="unknown",
        ),
        pytest.param(
            "text-embedding",
            "cosine_txt>=1",
            "unknown metric: cosine_txt",
            "did you mean cosine_text?",
            id="unknown-output",
        ),
        pytest.param(
            "causal-lm", "kl_*<=1", "unknown metric: kl_*", "did you mean kl_p99?", id="glob"
        ),
        pytest.param(
            "text-embedding",
            "kl_mean<=1",
            "kl_mean is not measured for the task text-embedding",
            f"available: {HAS}",
            id="metric-of-another-task",
        ),
        pytest.param(
            "text-embedding",
            "cosine_image>=0",
            "cosine_image is not measured for the task text-embedding",
            f"available: {HAS}",
            id="output-of-another-task",
        ),
        pytest.param(
            "text-embedding",
            "sqnr_*>=0",
            "sqnr_* is not measured for the task text-embedding",
            f"available: {HAS}",
            id="family-of-another-task",
        ),
        pytest.param(
            "text-embedding",
            "cosine_text>=7",
            "cosine_text: 7 is out of range",
            "give a number from -1 to 1",
            id="out-of-range",
        ),
        pytest.param(
            "causal-lm", "kl_mean<=-1", "kl_mean: -1 is out of range", "give 0 or more", id="below"
        ),
        pytest.param(
            "text-embedding",
            "cosine_*>1",
            "cosine_*: > 1 is out of range",
            "give a number from -1 to 1",
            id="never-above",
        ),
        pytest.param(
            "causal-lm",
            "kl_mean<0",
            "kl_mean: < 0 is out of range",
            "give 0 or more",
            id="never-below",
        ),
        pytest.param(
            "outputs",
            "sqnr_x>=nan",
            "sqnr_x: nan is not a finite number",
            "give a number",
            id="nan",
        ),
        pytest.param(
            "causal-lm",
            "kl_max<=inf",
            "kl_max: inf is not a finite number",
            "give 0 or more",
            id="inf",
        ),
        pytest.param(
            "causal-lm",
            "coverage>=0.5",
            "coverage is only known for frozen directories",
            "remove the gate, or quantize with quantcli",
            id="coverage",
        ),
    ],
)
def test_gates_that_cannot_be_right(task, text, message, hint):
    with pytest.raises(UsageError) as error:
        check_gates([parse_gate(text)], task, coverage_known=False)
    assert (error.value.message, error.value.hint) == (f"--gate: {message}", hint)


def test_the_origin_is_named():
    gate = Gate(metric="cosine_*", operator=">=", limit=1.5, origin="--min-cosine")
    with pytest.raises(UsageError, match=r"^--min-cosine: cosine_\*: 1.5 is out of range$"):
        check_gates([gate], "text-embedding", coverage_known=True)


@pytest.fixture
def baseline(tmp_path):
    metrics = {"cosine_text": 0.99, "size_ratio": 0.3, "spearman_text": math.inf}
    save_baseline(tmp_path / "b.json", comparison(metrics))
    return load_baseline(tmp_path / "b.json")


def test_regressions_that_can_be_judged(baseline):
    check_regressions([], None, "text-embedding")
    regressions = [parse_regression(text) for text in ("cosine_*=5%", "size_ratio=0.1")]
    check_regressions(regressions, baseline, "text-embedding")


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        pytest.param("kl_mean=1", ("kl_mean", "text-embedding"), id="task"),
        pytest.param("coverage=1", ("coverage", "b.json"), id="metric"),
        pytest.param("cosine_*_min=1", ("cosine_*_min", "b.json"), id="family"),
        pytest.param("spearman_*=1", ("spearman_text", "not finite", "b.json"), id="not-finite"),
    ],
)
def test_regressions_that_cannot(baseline, text, facts):
    with refuses(UsageError, "--max-regression", *facts):
        check_regressions([parse_regression(text)], baseline, "text-embedding")


def test_a_regression_needs_a_baseline():
    with refuses(UsageError, "--max-regression", "baseline", hint="--baseline"):
        check_regressions([parse_regression("size_ratio=1")], None, "text-embedding")
