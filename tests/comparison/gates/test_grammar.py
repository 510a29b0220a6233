"""Gates and regressions as users write them."""

from __future__ import annotations

import pytest
from messages import refuses

from quantcli.comparison.gates import (
    NAMED,
    Gate,
    Regression,
    gates_of,
    named_gate,
    parse_gate,
    parse_regression,
)
from quantcli.errors import UsageError
from quantcli.recipe import Gates

GATE_HINT = "write metric, operator and limit: kl_mean<=0.02; operators: <=, >=, <, >, =="
TOLERANCE_HINT = "write metric and tolerance: cosine_text=5% or kl_mean=0.001"


@pytest.mark.parametrize(
    ("text", "metric", "operator", "limit"),
    [
        pytest.param("kl_mean<=0.02", "kl_mean", "<=", 0.02, id="less-or-equal"),
        pytest.param(" cosine_*  >= .999 ", "cosine_*", ">=", 0.999, id="spaces"),
        pytest.param("kl_max<1", "kl_max", "<", 1.0, id="less"),
        pytest.param("sqnr_logits>-3.5", "sqnr_logits", ">", -3.5, id="negative"),
        pytest.param("bytes_quantized<=1e9", "bytes_quantized", "<=", 1e9, id="exponent"),
        pytest.param("generation_match==1", "generation_match", "==", 1.0, id="equal"),
        pytest.param("cosine_a.0.b>=0", "cosine_a.0.b", ">=", 0.0, id="dots"),
    ],
)
def test_gates_in_text(text, metric, operator, limit):
    gate = Gate(metric=metric, operator=operator, limit=limit, origin="--gate")
    assert parse_gate(text) == gate


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "not a gate: ", id="empty"),
        pytest.param("kl_mean", "not a gate: kl_mean", id="no-operator"),
        pytest.param("kl_mean=0.1", "not a gate: kl_mean=0.1", id="assignment"),
        pytest.param("kl_mean=>0.1", "not a gate: kl_mean=>0.1", id="backwards"),
        pytest.param("kl_mean<=", "not a gate: kl_mean<=", id="no-limit"),
        pytest.param("<=0.1", "not a gate: <=0.1", id="no-metric"),
        pytest.param("kl mean<=0.1", "not a gate: kl mean<=0.1", id="two-words"),
        pytest.param("0<=a<=1", "not a gate: 0<=a<=1", id="two-operators"),
        pytest.param("a>=99%", "not a gate: a>=99%: 99% is not a number", id="percent"),
    ],
)
def test_text_that_is_no_gate(text, message):
    with pytest.raises(UsageError) as error:
        parse_gate(text)
    assert (error.value.message, error.value.hint) == (message, GATE_HINT)


@pytest.mark.parametrize(
    ("name", "metric", "operator"),
    [
        ("min_cosine", "cosine_*", ">="),
        ("max_kl", "kl_mean", "<="),
        ("min_top1", "top1_agreement", ">="),
        ("max_ppl_ratio", "perplexity_ratio", "<="),
        ("min_generation_match", "generation_match", ">="),
        ("max_size_ratio", "size_ratio", "<="),
        ("max_latency_ratio", "latency_ratio", "<="),
        ("min_coverage", "coverage", ">="),
    ],
)
def test_gates_with_names(name, metric, operator):
    gate = named_gate(name, 0.5, "--it")
    assert gate == Gate(metric=metric, operator=operator, limit=0.5, origin="--it")
    assert name in NAMED


def test_a_limit_that_cannot_be_right_is_refused_at_once():
    with refuses(UsageError, "cosine_*", "7", hint=("-1", "1")):
        named_gate("min_cosine", 7, "--min-cosine")


def test_gates_of_a_recipe():
    table = Gates(max_size_ratio=0.32, min_cosine=0.9, gate=("kl_max < 2",), strict=True)
    assert gates_of(table.model_dump(), "recipe") == (
        Gate(metric="cosine_*", operator=">=", limit=0.9, origin="recipe"),
        Gate(metric="size_ratio", operator="<=", limit=0.32, origin="recipe"),
        Gate(metric="kl_max", operator="<", limit=2.0, origin="recipe"),
    )
    assert gates_of(Gates().model_dump()) == gates_of({}) == ()


def test_gates_of_options_are_called_by_their_option():
    gates = gates_of({"max_size_ratio": 0.32, "gate": ["kl_max < 2"]})
    assert [gate.origin for gate in gates] == ["--max-size-ratio", "--gate"]


@pytest.mark.parametrize(
    ("text", "regression"),
    [
        pytest.param(
            "cosine_text=5%",
            Regression(metric="cosine_text", tolerance=5.0, percent=True),
            id="percent",
        ),
        pytest.param(
            " kl_mean = 0.001 ", Regression(metric="kl_mean", tolerance=0.001), id="number"
        ),
        pytest.param("cosine_*=0", Regression(metric="cosine_*", tolerance=0.0), id="family"),
        pytest.param(
            "sqnr_x=1 %", Regression(metric="sqnr_x", tolerance=1.0, percent=True), id="space"
        ),
    ],
)
def test_regressions_in_text(text, regression):
    assert parse_regression(text) == regression


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        *(
            pytest.param(text, f"invalid tolerance: {text}", TOLERANCE_HINT, id=text or "empty")
            for text in (
                "",
                "kl_mean",
                "kl_mean=",
                "=5%",
                "kl_mean=5%%",
                "kl_mean=x",
                "kl_mean=-1",
                "kl_mean=-1%",
                "kl_mean=nan",
                "kl_mean=inf",
            )
        ),
        pytest.param(
            "kl_men=1", "unknown metric: kl_men", "did you mean kl_mean?", id="unknown-metric"
        ),
        pytest.param(
            "kl_*=1", "unknown metric: kl_*", "did you mean kl_p99?", id="a-glob-of-no-family"
        ),
        pytest.param(
            "latency_quantized=5%",
            "latency_quantized cannot get worse (forward pass, median, quantized)",
            "use a ratio, or a metric that compares both models",
            id="neither",
        ),
    ],
)
def test_text_that_is_no_regression(text, message, hint):
    with pytest.raises(UsageError) as error:
        parse_regression(text)
    assert (error.value.message, error.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("text", "before", "operator", "limit"),
    [
        pytest.param("cosine_text=5%", 0.8, ">=", 0.76, id="higher-percent"),
        pytest.param("sqnr_x=10%", -20.0, ">=", -22.0, id="higher-percent-of-a-negative"),
        pytest.param("top1_agreement=0.01", 0.9, ">=", 0.89, id="higher"),
        pytest.param("kl_mean=50%", 0.02, "<=", 0.03, id="lower-percent"),
        pytest.param("kl_mean=0.001", 0.02, "<=", 0.021, id="lower"),
        pytest.param("kl_mean=0", 0.0, "<=", 0.0, id="none"),
    ],
)
def test_the_limit_of_a_regression_is_on_the_worse_side(text, before, operator, limit):
    assert parse_regression(text).limit(before) == (operator, pytest.approx(limit, abs=1e-12))
