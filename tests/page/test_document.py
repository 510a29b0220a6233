"""From a page to a file: escaping, anchors, differences of texts, missing packages."""

from __future__ import annotations

import importlib.util
import json
import re

import pytest
from specimens import HOSTILE

from quantcli.errors import UsageError
from quantcli.page import Badge, Chart, Facts, Note, Page, Section, Table, TextPair, render
from quantcli.page.differences import marked


def page(*blocks, title="a page"):
    return Page(title=title, subject=title, sections=[Section("First part", blocks)])


def test_every_text_is_escaped():
    chart = Chart(title=HOSTILE, summary=HOSTILE, figure={"data": [HOSTILE], "layout": {}})
    table = Table(columns=(HOSTILE,), rows=[(HOSTILE,)], caption=HOSTILE, code=frozenset({HOSTILE}))
    texts = TextPair(prompt=HOSTILE, titles=(HOSTILE, "b"), texts=(HOSTILE, "c"))
    everything = Note(HOSTILE), table, Facts(pairs={HOSTILE: HOSTILE}), chart, texts
    whole = Page(
        title=HOSTILE,
        subject=HOSTILE,
        badge=Badge(words=HOSTILE, sentence=HOSTILE),
        sections=[Section(HOSTILE, everything)],
    )
    assert "<script>document" not in render(whole)


def test_the_data_of_a_chart_come_back_as_they_were():
    data = {"data": [{"text": HOSTILE, "y": [1.5, None]}], "layout": {}}
    html = render(page(Chart(title="t", summary="s", figure=data)))
    (found,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html)
    assert json.loads(found) == data


def test_a_page_without_charts_has_no_scripts():
    html = render(page(Note("only words")))
    assert "<script" not in html
    assert len(html) < 20_000


def test_it_allows_no_outside_request():
    html = render(page(Note("only words")))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', html)
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_sections_are_reached_by_their_titles():
    assert Section("Size and speed", []).anchor == "size-and-speed"
    html = render(page(Note("x")))
    assert '<a href="#first-part">' in html
    assert '<section id="first-part">' in html


@pytest.mark.parametrize(
    ("texts", "changed"),
    [
        pytest.param(("the same", "the same"), ([], []), id="same"),
        pytest.param(("one two", "one three"), (["two"], ["three"]), id="a-word"),
        pytest.param(("a b c", "a c"), (["b "], []), id="left-out"),
        pytest.param(("", "all new"), ([], ["all new"]), id="nothing"),
    ],
)
def test_the_words_that_differ_are_marked(texts, changed):
    sides = marked(texts)
    assert tuple("".join(piece for piece, _ in side) for side in sides) == texts
    assert tuple([piece for piece, differs in side if differs] for side in sides) == changed


@pytest.mark.parametrize("missing", ["plotly", "jinja2"])
def test_a_missing_package_is_named_with_the_way_out(monkeypatch, missing):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == missing else real(n))
    with pytest.raises(UsageError) as refusal:
        render(page(Note("x")))
    assert missing in refusal.value.message
    assert refusal.value.hint == "pip install 'quantcli[report]'"
