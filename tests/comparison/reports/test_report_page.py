"""The report as a page: what stands in it, in which order, and what it is drawn from."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import specimens

from quantcli.comparison.reports.html import MAX_CHARTS, page
from quantcli.comparison.results import Generated, Measurement
from quantcli.page import Chart, Note, Table, TextPair


@pytest.fixture
def report():
    return specimens.report()


def blocks(found, title):
    (section,) = [section for section in found.sections if section.title == title]
    return section.blocks


def of_kind(kind, found):
    return [block for block in found if isinstance(block, kind)]


def test_the_verdict_comes_first_then_the_gates(report):
    found = page(report)
    assert (found.badge.words, found.badge.tone) == ("Failed", "bad")
    assert "1 passed, 1 failed" in found.badge.sentence
    assert found.sections[0].title == "Gates"
    (table,) = blocks(found, "Gates")
    assert [row[-1] for row in table.rows] == ["failed", "passed"]
    assert [*table.tones] == ["bad", "good"]


@pytest.mark.parametrize(
    ("gates", "tone", "words"),
    [
        pytest.param({"max_kl": 0.5}, "good", "Passed", id="passed"),
        pytest.param({"max_kl": 0.15}, "unsure", "Passed", id="uncertain"),
        pytest.param({"max_kl": 0.001}, "bad", "Failed", id="failed"),
    ],
)
def test_the_tone_of_a_verdict(gates, tone, words):
    badge = page(specimens.report(**gates)).badge
    assert (badge.tone, badge.words) == (tone, words)


def test_a_report_without_gates_says_so(report):
    judgement = replace(report.judgement, verdicts=())
    found = page(replace(report, judgement=judgement))
    assert found.badge.words == "No gates"
    assert "Gates" not in [section.title for section in found.sections]


def test_sections_without_anything_are_left_out(report):
    comparison = replace(report.comparison, generated=(), unreached=(), notices=())
    titles = [
        s.title for s in page(replace(report, comparison=comparison, inspection=None)).sections
    ]
    assert titles == [
        "Gates",
        "Metrics",
        "Size and speed",
        "Distributions behind the metrics",
        "Provenance",
    ]


def test_bars_are_drawn_relative_to_the_original(report):
    (chart,) = of_kind(Chart, blocks(page(report), "Size and speed"))
    original, quantized = chart.figure["data"]
    assert original["x"] == [1.0, 1.0]
    assert quantized["x"] == [0.25, pytest.approx(3.1)]
    assert quantized["text"] == ["1.024 KB", "31.00 ms"]


def test_a_distribution_holds_every_value_and_marks_mean_and_gate(report):
    (chart,) = of_kind(Chart, blocks(page(report), "Distributions behind the metrics"))
    (bars,) = chart.figure["data"]
    assert sum(bars["y"]) == len(report.comparison.metrics["kl_mean"].observed)
    texts = [note["text"] for note in chart.figure["layout"]["annotations"]]
    assert [text.split()[0] for text in texts] == ["mean", "gate"]
    assert sum(int(row[-1]) for row in chart.table.rows) == sum(bars["y"])


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param((0.9, 0.8, 0.7), id="few"),
        pytest.param((0.0, 1.0) * 20, id="yes-or-no"),
        pytest.param((float("nan"),) * 20, id="not-finite"),
    ],
)
def test_values_that_are_no_distribution_are_not_drawn(report, observed):
    metrics = {"kl_mean": Measurement(value=0.5, observed=observed)}
    found = page(replace(report, comparison=replace(report.comparison, metrics=metrics)))
    assert "Distributions behind the metrics" not in [section.title for section in found.sections]


def test_more_distributions_than_fit_are_counted(report):
    values = tuple(index / 20 for index in range(20))
    metrics = {
        f"cosine_out{index}": Measurement(value=0.5, observed=values)
        for index in range(MAX_CHARTS + 3)
    }
    comparison = replace(report.comparison, metrics=metrics)
    found = blocks(page(replace(report, comparison=comparison)), "Distributions behind the metrics")
    assert len(of_kind(Chart, found)) == MAX_CHARTS
    (note,) = of_kind(Note, found)
    assert re.search(r"\b3\b", note.text)


def test_values_on_a_logarithmic_axis_may_be_zero(report):
    values = (0.0, 1e-12, *(10.0**-power for power in range(8)))
    metrics = {"kl_mean": Measurement(value=0.1, observed=values)}
    comparison = replace(report.comparison, metrics=metrics)
    (chart,) = blocks(
        page(replace(report, comparison=comparison)), "Distributions behind the metrics"
    )
    assert sum(chart.figure["data"][0]["y"]) == len(values)


def test_generated_texts_stand_side_by_side(report):
    pairs = of_kind(TextPair, blocks(page(report), "Generated texts"))
    assert [pair.texts[0] == pair.texts[1] for pair in pairs] == [False, True]


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        pytest.param(("\n\na b", "\na c "), ("a b", "a c"), id="space-around"),
        pytest.param((" a", "a"), (" a", "a"), id="they-differ-in-it"),
        pytest.param(("\n", "\n"), ("(nothing)", "(nothing)"), id="nothing-else"),
    ],
)
def test_space_around_generated_texts(report, texts, shown):
    generated = (Generated(prompt="p", original=texts[0], quantized=texts[1]),)
    comparison = replace(report.comparison, generated=generated)
    (pair,) = blocks(page(replace(report, comparison=comparison)), "Generated texts")
    assert pair.texts == shown


def test_the_weights_are_drawn_from_the_inspection(report):
    found = page(report)
    before, after = of_kind(Chart, blocks(found, "Where the bytes are"))
    total = report.inspection.total
    assert max(before.figure["data"][0]["values"]) == total.original_bytes
    assert max(after.figure["data"][0]["values"]) == total.bytes
    assert after.height == pytest.approx(before.height * total.bytes / total.original_bytes, abs=1)
    (chart,) = of_kind(Chart, blocks(found, "Error by layer"))
    (cells,) = chart.figure["data"]
    assert cells["x"] == ["-", *map(str, range(specimens.LAYERS))]
    assert cells["y"][:2] == ["attention.query", "attention.value"]
    assert cells["z"][0][:3] == [None, pytest.approx(20), pytest.approx(25)]
    (worst,) = of_kind(Table, blocks(found, "Error by layer"))
    figures = [float(row[2]) for row in worst.rows]
    assert figures == sorted(figures)
