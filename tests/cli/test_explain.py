"""`quantcli explain`: its tables, its JSON, its picture and page, and its errors."""

from __future__ import annotations

import importlib.util
import io
import json

import pytest
from messages import assert_says, told
from PIL import Image
from rich.cells import cell_len

import quantcli
from quantcli.cli import main
from quantcli.cli.tables.explain import tables
from quantcli.cli.terminal import output
from quantcli.formats import DOWNCASTS, QUANTIZED, WEIGHTS


@pytest.fixture
def explain(capsys):
    """Run `quantcli explain`, which must succeed; return its standard output and its warnings."""

    def run(*words):
        capsys.readouterr()
        assert main(["explain", *map(str, words)]) == 0
        out, err = capsys.readouterr()
        return out, told(err, "warning")

    return run


@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_tables_hold_the_numbers(tiny_model, explain, weights):
    folder = tiny_model("llama-untied")
    out, warnings = explain(folder, "-w", weights)
    found = quantcli.explain(folder, weights=weights)
    assert_says(out, found.tensor, str(folder), weights, "float32", "SQNR, dB", *DOWNCASTS)
    for step in found.steps:
        assert f"{step.title}: {step.formula}" in out
    for source in found.sources:
        assert source in out
    for row, codes in zip(found.shown_rows, found.codes or (), strict=False):
        cells = [f"{code:g}" for code in codes]
        assert any(line.split() == [str(row), *cells] for line in out.splitlines())
    assert f"{found.comparisons[0].bits:.3f}" in out
    assert ("arXiv 1712.05877" in out) == (weights in QUANTIZED)
    assert warnings == []


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_slice_fits_80_columns(tiny_model, monkeypatch, capsys, weights):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["explain", str(tiny_model("vit", "float16")), "-w", weights]) == 0
    lines = capsys.readouterr().out.splitlines()
    tabular = [line for line in lines if line.startswith(" ")]
    assert max(map(cell_len, tabular)) <= 80


def test_a_wide_slice_is_cut_in_a_narrow_terminal(tiny_model):
    found = quantcli.explain(tiny_model("llama-untied"), at=(0, 0), rows=1, columns=20)
    narrow, wide = [*tables(found, 80)], [*tables(found, output.PIPE_WIDTH)]
    assert len(wide) == 7
    shown = [[str(c.header).strip() for c in t.columns[1:]] for t in narrow[:4]]
    assert [int(c) for row in shown for c in row if c.isdigit()][:20] == [*range(20)]
    assert len(wide[0].columns) == 21


@pytest.mark.parametrize(
    ("size", "shown"),
    [((1, 6), "shown: row 2, columns 3 to 8"), ((3, 1), "shown: rows 2 to 4, column 3")],
    ids=["row", "column"],
)
def test_one_row_or_column(tiny_model, explain, size, shown):
    out, _ = explain(
        tiny_model("llama-untied"), "--at", "2,3", "--rows", size[0], "--columns", size[1]
    )
    assert f"{shown}\n" in out


def test_numbers_line_up_on_the_point(tiny_model, explain):
    out, _ = explain(tiny_model("llama-untied"), "-w", "int4")
    part = out[out.index("original: r") :].splitlines()[4:10]
    assert len({tuple(i for i, letter in enumerate(line) if letter == ".") for line in part}) == 1


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        pytest.param({"TERM": "xterm-256color"}, True, id="colours"),
        pytest.param({"TERM": "xterm-256color", "NO_COLOR": "1"}, False, id="no-color"),
        pytest.param({"TERM": "dumb"}, False, id="dumb"),
    ],
)
def test_colours_on_a_terminal(tiny_model, monkeypatch, capsys, environment, coloured):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["explain", str(tiny_model("llama-untied"))]) == 0
    assert ("48;5;" in capsys.readouterr().out) == coloured


@pytest.mark.parametrize("weights", WEIGHTS)
def test_json(tiny_model, capsys, weights):
    folder = tiny_model("llama-untied")
    assert main(["explain", str(folder), "lm_head", "-w", weights, "--rows", "2", "--json"]) == 0

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    expected = quantcli.explain(folder, "lm_head", weights=weights, rows=2)
    assert found["tensor"] == "lm_head.weight"
    assert found["method"] == expected.method
    assert found["original"] == [[*row] for row in expected.original]
    assert found["codes"] == (expected.codes and [[*row] for row in expected.codes])
    assert [span["scale"] for span in found["spans"]] == [span.scale for span in expected.spans]
    assert all(len(span["columns"]) == 3 for span in found["spans"])
    assert found["comparisons"][0]["dtype"] == weights


def test_json_of_a_cast_that_overflows(tmp_path, capsys):
    import tiny

    model = tiny.build("bert")
    model.encoder.layer[0].output.dense.weight.data[0, 0] = 1e6
    model.save_pretrained(tmp_path)
    name = "encoder.layer.0.output.dense"
    assert main(["explain", str(tmp_path), name, "-w", "float16", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert None in found["restored"][0]
    assert found["comparisons"][0]["max_error"] is None
    assert_says(err, "float16", "infinite")
    assert main(["explain", str(tmp_path), name, "--at", "0,0"]) == 0
    assert "inf" in capsys.readouterr().out


@pytest.mark.parametrize("weights", ["int8", "int4", "float8", "bfloat16"])
def test_a_picture(tiny_model, tmp_path, explain, weights):
    file = tmp_path / "new" / "e.png"
    plain, _ = explain(tiny_model("llama-untied"), "-w", weights)
    out, _ = explain(tiny_model("llama-untied"), "-w", weights, "--png", file)
    assert out == plain
    with Image.open(io.BytesIO(file.read_bytes())) as image:
        image.verify()
        assert image.format == "PNG"
        assert image.width > image.height / 2 > 300
    assert [entry.name for entry in file.parent.iterdir()] == ["e.png"]


def test_a_picture_shows_the_numbers_of_the_slice(tiny_model):
    from quantcli.explanation.picture import figure_of

    found = quantcli.explain(tiny_model("llama-untied"), rows=2, columns=3)
    axes = figure_of(found).axes
    texts = [[text.get_text() for text in place.texts] for place in axes]
    assert [len(row) for row in texts] == [6] * 6
    assert texts[1] == [str(code) for row in found.codes for code in row]
    assert [axis.get_title().split("\n")[0].split(" [")[0] for axis in axes[3:]] == [
        "error of int8",
        "error of float16",
        "error of bfloat16",
    ]
    assert {axis.images[0].get_clim() for axis in axes[3:]} == {axes[3].images[0].get_clim()}


def test_a_page(tiny_model, tmp_path, explain):
    file = tmp_path / "e.html"
    explain(tiny_model("llama-untied"), "-w", "int4", "--html", file)
    text = file.read_text(encoding="utf-8")
    found = quantcli.explain(tiny_model("llama-untied"), weights="int4")
    for title in ("1. Extreme values", "2. Scale", "3. Zero point", "4. Integers", "Error"):
        assert f"<h2>{title}</h2>" in text
    assert found.tensor in text
    assert "S = (max r - min r) / 15" in text
    assert text.count('type":"heatmap') == 6
    assert text.startswith("<!doctype html>")


def test_a_page_of_a_cast_and_one_of_a_kept_tensor(tiny_model, tmp_path, explain):
    cast, kept = tmp_path / "cast.html", tmp_path / "kept.html"
    explain(tiny_model("llama-untied"), "-w", "float16", "--html", cast)
    assert "float16(r)" in cast.read_text(encoding="utf-8")
    _, warnings = explain(tiny_model("llama-untied"), "model.embed_tokens", "--html", kept)
    assert "is kept" in kept.read_text(encoding="utf-8")
    assert_says(warnings[0], "model.embed_tokens.weight")


@pytest.mark.parametrize(
    ("words", "code", "facts", "hint"),
    [
        pytest.param(["--at", "3"], 2, "3", "3,100", id="at-one-number"),
        pytest.param(["--at", "-1,0"], 2, "-1,0", "3,100", id="at-negative"),
        pytest.param(["--at", "99,0"], 2, "--at", "98,159", id="at-outside"),
        pytest.param(["--rows", "0"], 2, "--rows", "explain --help", id="no-rows"),
        pytest.param(["--columns", "65"], 2, "--columns", "explain --help", id="columns"),
        pytest.param(["-w", "int3"], 2, "int3", "int8", id="dtype"),
        pytest.param(["--group-size", "32"], 2, "int4", "group_size", id="groups-of-int8"),
        pytest.param(["--png", "x.png", "--rows", "17"], 2, "17 x 6", "16 x 16", id="large"),
        pytest.param(["--png", "."], 4, ".", "another file", id="png-folder"),
        pytest.param(["--html", "."], 4, ".", "another file", id="html-folder"),
        pytest.param(["more"], 2, "more", "TENSOR", id="one-more"),
    ],
)
def test_errors(tiny_model, fails, words, code, facts, hint):
    found = fails("explain", tiny_model("llama-untied"), "lm_head", *words)
    assert found[0] == code
    assert facts in found[1]
    assert hint in found[2]


def test_other_errors(tiny_model, frozen, fails):
    code, message, hint = fails("explain", tiny_model("llama-untied"), "lm_haed")
    assert (code, hint) == (2, "did you mean lm_head?")
    assert_says(message, "lm_haed")
    code, message, hint = fails("explain", frozen("bert", "int8"))
    assert code == 3
    assert_says(hint, f"quantcli explain {tiny_model('bert')}")
    assert fails("explain", "./nowhere")[0] == 3
    assert fails("explain")[:2] == (2, "missing argument: MODEL")


@pytest.mark.parametrize(
    ("option", "package"), [("--png", "matplotlib"), ("--html", "plotly")], ids=["png", "html"]
)
def test_a_missing_extra(fails, monkeypatch, option, package):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == package else real(name, *a)
    )
    code, message, hint = fails("explain", "./never-read", option, "out")
    assert (code, hint) == (2, "pip install 'quantcli[report]'")
    assert_says(message, package)
