"""One comparison as JSON, Markdown, JUnit XML and annotations."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from comparisons import comparison

from quantcli.comparison.gates import (
    Requirements,
    judge,
    load_baseline,
    parse_gate,
    parse_regression,
    save_baseline,
)
from quantcli.comparison.reports import Report, annotate, html, junit, markdown, to_json
from quantcli.comparison.reports.markdown import escape
from quantcli.comparison.reports.rows import MAX_TEXTS
from quantcli.comparison.results import Generated

METRICS = {
    "bytes_original": 307_844_608,
    "bytes_quantized": 126_800_000,
    "size_ratio": 0.4119,
    "kl_max": 0.5,
    "kl_mean": (0.0123, 0.0101, 0.0145),
    "top1_agreement": (0.985, 0.97, 0.995),
    "perplexity_original": 12.3456,
    "perplexity_original_error": 0.41,
    "perplexity_quantized": 12.5,
    "perplexity_quantized_error": 0.42,
    "perplexity_ratio": (1.01, 1.009, 1.016),
    "perplexity_ratio_error": 0.002,
    "tokens_per_second_original": 101.23,
    "latency_original": 10.0,
    "latency_quantized": 15.0,
    "latency_original_p95": 12.0,
    "latency_quantized_p95": 18.0,
    "latency_ratio": 1.5,
}
GATES = ("kl_mean<=0.02", "kl_mean<=0.013", "top1_agreement>=0.999", "size_ratio<=0.4119")
TEXTS = (
    Generated(prompt="a|b", original="x `y`\nz", quantized="*x*"),
    Generated(prompt="c", original="d", quantized="d"),
)


def report(metrics, *gates, strict=False, report_only=False, **changes) -> Report:
    found = comparison(metrics, **changes)
    requirements = Requirements(
        gates=tuple(map(parse_gate, gates)), strict=strict, report_only=report_only
    )
    return Report(found, judge(found, requirements))


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """Return a report of all that there can be: failures, a baseline, texts, notices."""
    monkeypatch.chdir(tmp_path)
    before = {"kl_mean": 0.01, "size_ratio": 0.5, "latency_original": 3, "kl_p90": 1}
    save_baseline("base.json", comparison(before, task="seq2seq-lm"))
    baseline = load_baseline("base.json")
    found = comparison(
        METRICS,
        task="seq2seq-lm",
        generated=TEXTS,
        notices=("2 samples were truncated",),
        nonfinite={"logits": 2},
    )
    requirements = Requirements(
        gates=tuple(map(parse_gate, GATES)),
        regressions=(parse_regression("kl_mean=30%"),),
        baseline=baseline,
    )
    return Report(found, judge(found, requirements), baseline)


RATIO = "| `perplexity_ratio` | 1.01000 ± 0.00200 | 1.00900 to 1.01600 | {} |".format(
    "perplexity, quantized over original"
)
WHOLE = rf"""# name-int8 against org/name

**Failed**: 6 gates: 4 passed (2 uncertain), 2 failed.

Compared as seq2seq-lm on 100 samples.

## Gates

| gate | limit | value | 95 % interval | verdict |
| --- | ---: | ---: | ---: | --- |
| `kl_mean` | `<= 0.02` | 0.0123 | 0.0101 to 0.0145 | passed |
| `kl_mean` | `<= 0.013` | 0.0123 | 0.0101 to 0.0145 | uncertain |
| `top1_agreement` | `>= 0.999` | 0.9850 | 0.9700 to 0.9950 | failed |
| `size_ratio` | `<= 0.4119` | 0.4119 |  | passed |
| `kl_mean` | `<= 0.0130` | 0.0123 | 0.0101 to 0.0145 | uncertain |
| `nonfinite_logits` | `<= 0` | 2 |  | failed |

## Metrics

| metric | value | 95 % interval | what it is |
| --- | ---: | ---: | --- |
| `kl_mean` | 0.0123 | 0.0101 to 0.0145 | KL(original \|\| quantized), mean, nat |
| `kl_max` | 0.500 |  | KL(original \|\| quantized), maximum, nat |
| `top1_agreement` | 0.9850 | 0.9700 to 0.9950 | how often both models have the same top choice |
{RATIO}
| `tokens_per_second_original` | 101.2 |  | tokens generated per second, original |
| `size_ratio` | 0.412 |  | bytes, quantized over original |
| `latency_ratio` | 1.500 |  | median latency, quantized over original |

## Original and quantized

| metric | original | quantized | ratio |
| --- | ---: | ---: | ---: |
| `perplexity` | 12.346 ± 0.410 | 12.500 ± 0.420 | 1.01000 |
| `bytes` | 307.845 MB | 126.800 MB | 0.412 |
| `latency` | 10.00 ms | 15.00 ms | 1.500 |
| `latency_p95` | 12.00 ms | 18.00 ms |  |

## Against the baseline

| metric | baseline | now | change |
| --- | ---: | ---: | ---: |
| `kl_mean` | 0.0100 | 0.0123 | +0.00230 |
| `size_ratio` | 0.500 | 0.412 | -0.088 |

## Generated texts

| prompt | text of the original | text of the quantized | same |
| --- | --- | --- | --- |
| a\|b | x \`y\`<br>z | \*x\* | no |
| c | d | d | yes |

## Notices

- 2 samples were truncated

quantcli 0.1.0, torch 2.13.0, samples 0123456789ab, seed 0, 12.3 s
"""


def test_markdown(whole):
    assert markdown(whole) == WHOLE


NOTHING = """# name-int8 against org/name

**No gates** were set.

Compared as text-embedding on 1 sample, synthetic.

## Metrics

| metric | value | 95 % interval | what it is |
| --- | ---: | ---: | --- |
| `cosine_text` | 1.000000 |  | mean cosine over samples |
| `cosine_text_min` | NaN |  | minimum cosine over samples |

quantcli 0.1.0, torch 2.13.0, samples 0123456789ab, seed 0, 12.3 s
"""


def test_markdown_of_a_comparison_without_gates():
    metrics = {"cosine_text_min": math.nan, "cosine_text": 1}
    assert markdown(report(metrics, samples=1, synthetic=True)) == NOTHING


@pytest.mark.parametrize(
    ("gate", "options", "line"),
    [
        pytest.param("kl_max<=1", {}, "**Passed**: 1 gate: 1 passed.", id="passed"),
        pytest.param("kl_max<=0.1", {}, "**Failed**: 1 gate: 1 failed.", id="failed"),
        pytest.param(
            "kl_max<=0.1",
            {"report_only": True},
            "**Failed**, reported only: 1 gate: 1 failed.",
            id="report-only",
        ),
        pytest.param(
            "kl_mean<=0.013", {}, "**Passed**: 1 gate: 1 passed (1 uncertain).", id="uncertain"
        ),
        pytest.param(
            "kl_mean<=0.013",
            {"strict": True},
            "**Failed**: 1 gate: 1 failed (1 uncertain).",
            id="strict",
        ),
    ],
)
def test_the_verdict_of_markdown(gate, options, line):
    assert markdown(report(METRICS, gate, task="causal-lm", **options)).splitlines()[2] == line


def test_outputs_keep_their_order_and_names():
    metrics = {
        "sqnr_z_original": 40.0,
        "cosine_z_original": 1.0,
        "cosine_z_original_min": 1.0,
        "sqnr_a_quantized": 40.0,
        "cosine_a_quantized": 1.0,
        "cosine_a_quantized_min": 1.0,
    }
    lines = markdown(report(metrics, task="outputs")).splitlines()
    assert [line.split("`")[1] for line in lines if line.startswith("| `")] == [
        "cosine_z_original",
        "cosine_a_quantized",
        "cosine_z_original_min",
        "cosine_a_quantized_min",
        "sqnr_z_original",
        "sqnr_a_quantized",
    ]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain, text.", "plain, text."),
        ("a|b", r"a\|b"),
        ("a\\|b", r"a\\\|b"),
        ("`x`", r"\`x\`"),
        ("*_~", r"\*\_\~"),
        ("<b>&amp;", r"\<b>\&amp;"),
        ("[a](b)", r"\[a\](b)"),
        ("$x$", r"\$x\$"),
        ("a\nb\r\nc\u2028d\n", "a<br>b<br>c<br>d"),
        ("a\tb", "a b"),
        ("a\x00\x1b[31mb", "a\ufffd\ufffd\\[31mb"),
        ("", ""),
    ],
)
def test_escape(text, escaped):
    assert escape(text) == escaped


def test_many_texts_show_those_that_differ_first():
    same = [Generated(prompt=f"same {i}", original="a", quantized="a") for i in range(30)]
    other = Generated(prompt="other", original="a", quantized="b")
    text = markdown(report({}, generated=(*same, other)))
    rows = [line for line in text.splitlines() if line.endswith(("| yes |", "| no |"))]
    assert len(rows) == MAX_TEXTS
    assert rows[0] == "| other | a | b | no |"
    assert f"Showing {MAX_TEXTS} of 31 texts; 30 are the same." in text


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def test_json(whole):
    found = json.loads(json.dumps(to_json(whole), allow_nan=False), parse_constant=refuse)
    assert (found["original"], found["quantized"]) == ("org/name", "name-int8")
    assert (found["task"], found["samples"], found["passed"]) == ("seq2seq-lm", 100, False)
    assert found["metrics"]["kl_mean"] == 0.0123
    assert list(found["metrics"]) == list(METRICS)
    assert found["intervals"]["kl_mean"] == [0.0101, 0.0145]
    assert "kl_max" not in found["intervals"]
    assert found["gates"][1] == {
        "metric": "kl_mean",
        "operator": "<=",
        "limit": 0.013,
        "value": 0.0123,
        "low": 0.0101,
        "high": 0.0145,
        "status": "passed",
        "passed": True,
        "uncertain": True,
        "message": "kl_mean is 0.0123, which is <= 0.013, but uncertain:"
        " its 95 % interval is 0.0101 to 0.0145 (--gate)",
        "origin": "--gate",
    }
    assert [gate["passed"] for gate in found["gates"]] == [True, True, False, True, True, False]
    assert (found["strict"], found["report_only"], found["synthetic"]) == (False, False, False)
    assert found["generated"][0] == {
        "prompt": "a|b",
        "original": "x `y`\nz",
        "quantized": "*x*",
        "same": False,
    }
    assert found["nonfinite"] == {"logits": 2}
    assert found["notices"] == ["2 samples were truncated"]
    assert found["models"]["quantized"]["weights"] == "int8"
    assert (found["seed"], found["seconds"]) == (0, 12.34)
    assert found["versions"] == {"quantcli": "0.1.0", "torch": "2.13.0"}
    assert found["sample_hash"].startswith("0123")
    assert found["baseline"]["path"] == "base.json"
    assert found["baseline"]["changes"]["kl_mean"] == {
        "baseline": 0.01,
        "value": 0.0123,
        "change": pytest.approx(0.0023),
    }
    assert "kl_p90" not in found["baseline"]["changes"]


def test_json_of_values_that_are_not_finite():
    metrics = {
        "kl_mean": math.nan,
        "perplexity_ratio": math.inf,
        "kl_max": (1.0, math.nan, math.inf),
    }
    gates = ("kl_mean<=1", "perplexity_ratio<=2", "kl_max<=2", "generation_match==1")
    found = to_json(report(metrics, *gates, task="causal-lm"))
    json.dumps(found, allow_nan=False)
    assert found["metrics"] == {"kl_mean": None, "perplexity_ratio": None, "kl_max": 1.0}
    assert found["intervals"] == {"kl_max": [None, None]}
    assert [gate["value"] for gate in found["gates"]] == [None, None, 1.0, None]
    assert [gate["passed"] for gate in found["gates"]] == [False, False, True, False]
    assert found["baseline"] is None


@pytest.mark.parametrize(
    ("strict", "report_only", "passed"),
    [(False, False, True), (True, False, False), (True, True, False)],
)
def test_json_is_honest(strict, report_only, passed):
    made = report(
        METRICS, "kl_mean<=0.013", task="causal-lm", strict=strict, report_only=report_only
    )
    found = to_json(made)
    assert (found["passed"], found["gates"][0]["passed"]) == (passed, passed)
    assert made.judgement.exit_ok is (passed or report_only)


def suite_of(made: Report) -> ET.Element:
    root = ET.fromstring(junit(made).encode())
    assert root.tag == "testsuites"
    (suite,) = root
    return suite


def test_junit(whole):
    suite = suite_of(whole)
    assert suite.attrib == {
        "name": "name-int8 against org/name",
        "tests": "6",
        "failures": "2",
        "errors": "0",
        "skipped": "0",
        "time": "12.340",
    }
    assert [(case.get("name"), [part.tag for part in case]) for case in suite] == [
        ("kl_mean <= 0.02", []),
        ("kl_mean <= 0.013", ["system-out"]),
        ("top1_agreement >= 0.999", ["failure"]),
        ("size_ratio <= 0.4119", []),
        ("kl_mean <= 0.013", ["system-out"]),
        ("nonfinite_logits <= 0", ["failure"]),
    ]
    failure = suite.find("testcase/failure")
    assert failure.attrib == {
        "message": "top1_agreement is 0.985, but must be >= 0.999 (--gate)",
        "type": "failed",
    }
    assert failure.text == "limit: >= 0.999\nvalue: 0.985"
    assert suite[1][0].text.startswith("kl_mean is 0.0123, which is <= 0.013, but uncertain")


def test_every_report_says_with_what_it_was_computed():
    found = report(METRICS, "kl_mean<=0.02", kernels="auto kernels, int8 activations")
    assert to_json(found)["kernels"] == "auto kernels, int8 activations"
    assert "auto kernels, int8 activations" in markdown(found)
    (said,) = suite_of(found).iter("property")
    assert said.attrib == {"name": "kernels", "value": "auto kernels, int8 activations"}
    assert "auto kernels, int8 activations" in html(found)


def test_junit_of_a_strict_run():
    suite = suite_of(report(METRICS, "kl_mean<=0.013", task="causal-lm", strict=True))
    assert suite.get("failures") == "1"
    assert suite.find("testcase/failure").get("type") == "uncertain"


def test_junit_without_gates():
    (case,) = suite_of(report(METRICS, task="causal-lm"))
    assert (case.get("name"), [part.tag for part in case]) == ("no gates", ["system-out"])


def test_junit_holds_no_character_that_xml_does_not():
    made = report({}, nonfinite={"a\x00\x1b\ufffe\udc80b<&\">'é": 1})
    suite = suite_of(made)
    assert suite[0].get("name") == "nonfinite_ab<&\">'é <= 0"
    strange = replace(made.comparison, original=replace(made.comparison.original, model="a\x01b"))
    assert suite_of(Report(strange, made.judgement)).get("name") == "name-int8 against ab"


KL_MAX_FAILED = (
    "title=quantcli compare%3A kl_max <= 0.1 failed::kl_max is 0.5, but must be <= 0.1 (--gate)"
)
KL_MEAN_UNCERTAIN = (
    "title=quantcli compare%3A kl_mean <= 0.013 uncertain::kl_mean is 0.0123,"
    " which is <= 0.013, but uncertain: its 95 %25 interval is 0.0101 to 0.0145 (--gate)"
)


@pytest.mark.parametrize(
    ("gates", "options", "lines"),
    [
        pytest.param(
            ["kl_max<=1"], {}, ["::notice title=quantcli compare::1 gate: 1 passed"], id="passed"
        ),
        pytest.param([], {}, ["::notice title=quantcli compare::no gates"], id="none"),
        pytest.param(
            ["kl_max<=1", "kl_max<=0.1"],
            {},
            [
                f"::error {KL_MAX_FAILED}",
            ],
            id="failed",
        ),
        pytest.param(
            ["kl_max<=0.1"],
            {"report_only": True},
            [
                f"::warning {KL_MAX_FAILED}",
            ],
            id="report-only",
        ),
        *(
            pytest.param(
                ["kl_mean<=0.013"],
                options,
                [
                    f"::{level} {KL_MEAN_UNCERTAIN}",
                    *rest,
                ],
                id=name,
            )
            for name, options, level, rest in (
                (
                    "uncertain",
                    {},
                    "warning",
                    ["::notice title=quantcli compare::1 gate: 1 passed (1 uncertain)"],
                ),
                ("strict", {"strict": True}, "error", []),
            )
        ),
    ],
)
def test_annotations(gates, options, lines):
    assert annotate(report(METRICS, *gates, task="causal-lm", **options)) == lines


def test_annotations_are_one_line_each():
    (line,) = annotate(report({}, nonfinite={"a:b,c%\r\n": 1}))
    assert line == (
        "::error title=quantcli compare%3A nonfinite_a%3Ab%2Cc%25%0D%0A <= 0 failed"
        "::the output a:b,c%25%0D%0A has NaN or infinite values in 1 of 100 samples"
    )
