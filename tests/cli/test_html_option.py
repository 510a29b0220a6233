"""`--html FILE` of the commands: what is written, and that nothing runs where it cannot be."""

from __future__ import annotations

import importlib.util

import pytest
from browser import opened, started

from quantcli.cli import main


@pytest.fixture
def bert(tiny_model, freeze, tmp_path, monkeypatch):
    """Return a tiny BERT and its int8 version, and work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    folder = tiny_model("bert")
    return str(folder), str(freeze(folder, "int8"))


def commands(original, frozen):
    return {
        "compare": ["compare", original, frozen, "--samples", "3", "-q"],
        "inspect": ["inspect", frozen, "--against", original, "-q"],
        "quantize": ["quantize", original, "-o", "out", "-q"],
    }


COMMANDS = ["compare", "inspect", "quantize"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_is_written_beside_the_usual_output(bert, name, tmp_path, capsys):
    assert main([*commands(*bert)[name], "--html", "report.html"]) == 0
    with_page = capsys.readouterr().out
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Where the bytes are" in html
    assert "Error by layer" in html
    assert with_page
    assert "<html" not in with_page


def test_it_opens_in_a_browser(bert, tmp_path):
    assert main([*commands(*bert)["compare"], "--html", "report.html"]) == 0
    with started() as browser, opened(browser, tmp_path / "report.html") as page:
        assert page.complaints == []
        assert page.requests == [(tmp_path / "report.html").as_uri()]
        assert page.count(".slice path.surface") > 10
        assert "no gates" in page.page.inner_text(".badge").lower()


def test_models_that_cannot_be_inspected_are_compared_without_their_weights(
    bert, frozen, tmp_path, capsys
):
    _, original = bert
    words = ["compare", original, str(frozen("bert", "int4")), "--samples", "3"]
    assert main([*words, "--html", "report.html"]) == 0
    assert "weights were not compared" in capsys.readouterr().err
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "weights were not compared" in html
    assert "Where the bytes are" not in html


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("target", "code"),
    [
        pytest.param(".", 4, id="a-folder"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_first(bert, fails, name, target, code):
    found, error, _ = fails(*commands(*bert)[name], "--html", target)
    assert found == code
    assert target in error


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_missing_extra_is_refused_first(bert, fails, name, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "plotly" else real(n))
    code, error, hint = fails(*commands(*bert)[name], "--html", "report.html")
    assert code == 2
    assert "plotly" in error
    assert "quantcli[report]" in hint


def test_a_dry_run_has_no_page(bert, fails):
    code, error, hint = fails(*commands(*bert)["quantize"], "--dry-run", "--html", "report.html")
    assert code == 2
    assert "--html" in error
    assert "--dry-run" in hint
