"""`quantcli compare`: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest
import torch
import trained
import typer
from safetensors.torch import load_file, save_file
from terminals import terminal

from quantcli.cli import app
from quantcli.comparison.reports import FORMATS
from quantcli.recipe.tables import CompareOptions, GateOptions

CONTRACT = {"original", "quantized", "task", "samples", "metrics", "gates", "passed"}
GATE = {"metric", "limit", "value", "passed"}

NEVER = ["--gate", "cosine_text>=0.9999999999", "--max-size-ratio", "0.1"]
"""Gates that no int8 model passes."""


@pytest.fixture(scope="module")
def pair(tiny_model, freeze):
    """Return a tiny BERT and its int8 version."""
    folder = tiny_model("bert")
    return folder, freeze(folder, "int8")


@pytest.fixture(scope="module")
def gpt(freeze):
    """Return a GPT that has learned something, and its int4 version."""
    folder = trained.model("gpt")
    return folder, freeze(folder, "int4")


def broken(folder, copy, name):
    """Return a copy of a checkpoint with one NaN in one of its tensors."""
    shutil.copytree(folder, copy)
    tensors = load_file(copy / "model.safetensors")
    tensors[name].view(-1)[0] = torch.nan
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    return copy


def rows(out):
    """Return the cells of every line of the tables, by the first one."""
    found = [re.split(r" {2,}", line.strip()) for line in out.splitlines()]
    return {cells[0]: cells[1:] for cells in found}


def paragraph(out, name):
    """Return the words of the lines of the paragraph that begins with a metric of this name."""
    found = (text.splitlines() for text in out.split("\n\n"))
    (lines,) = (lines for lines in found if lines[0].split() == ["metric", name])
    return [line.split() for line in lines]


# What it prints


def test_a_table_on_a_pipe(compare, pair):
    ran = compare(*pair, "--min-cosine", "0.9", "--max-size-ratio", "0.1")
    lines = ran.out.splitlines()
    title = f"{pair[1]} against {pair[0]}: text-embedding, 3 samples, synthetic, quanto kernels"
    assert lines[0] == title
    assert lines[-1] == "2 gates: 1 passed, 1 failed"
    assert all(line == line.rstrip() for line in lines)
    found = rows(ran.out)
    assert found["cosine_text >= 0.9"][-1] == "passed"
    assert found["size_ratio <= 0.1"] == ["0.306", "failed"]
    assert found["bytes"] == ["1.475 MB", "451.176 KB", "0.306"]
    assert found["coverage"] == ["0.9422"]


def test_a_narrow_terminal_leaves_out_no_number(compare, pair, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    ran = compare(*pair, "--max-size-ratio", "0.5")
    sides = [" ".join(words[1:]) for words in paragraph(ran.out, "bytes")]
    assert sides == ["bytes", "1.475 MB", "451.176 KB", "0.306"]
    words = " ".join(word for line in paragraph(ran.out, "cosine_text") for word in line)
    assert re.search(r"95 % interval 0\.\d{6} to 0\.\d{6}$", words)
    assert ran.out.endswith("\n1 gate: 1 passed\n")


def test_generated_texts_are_shown(compare, gpt):
    ran = compare(*gpt, "--text", "The [bold]small[/bold] cat\nwent", samples=None)
    assert ran.code == 0
    before, progress = ran.err.splitlines()
    assert before == (
        "comparing as causal-lm: 1 sample through both models, 1 continued for up to 32 tokens"
    )
    assert re.fullmatch(r"comparing: 2 of 2 samples, \d+ s", progress)
    assert "generated texts: " in ran.out
    assert "The [bold]small[/bold] cat went" in ran.out
    assert {"kl_mean", "perplexity_ratio", "perplexity", "tokens_per_second"} <= rows(
        ran.out
    ).keys()


def test_warnings_and_progress_are_on_stderr(compare, pair):
    ran = compare(*pair, "--json")
    progress, *rest = ran.err.splitlines()
    assert re.fullmatch(r"comparing: 6 of 6 samples, \d+ s", progress)
    assert rest == ["warning: no tokenizer found: using random inputs"]


@pytest.mark.parametrize("gates", [[], NEVER], ids=["passed", "failed"])
def test_json(compare, pair, gates):
    ran = compare(*pair, *gates, "--json")
    found = ran.json()
    assert found.keys() >= CONTRACT
    assert (found["original"], found["quantized"]) == tuple(map(str, pair))
    assert (found["task"], found["samples"]) == ("text-embedding", 3)
    assert found["passed"] == (ran.code == 0) == (not gates)
    assert all(isinstance(value, int | float) for value in found["metrics"].values())
    assert [gate["metric"] for gate in found["gates"]] == (
        ["size_ratio", "cosine_text"] if gates else []
    )
    assert all(gate.keys() >= GATE and gate["passed"] is False for gate in found["gates"])


@pytest.mark.parametrize(
    ("gates", "code", "out"),
    [
        pytest.param(["--min-cosine", "0.9"], 0, "1 gate: 1 passed\n", id="passed"),
        pytest.param(NEVER, 1, "2 gates: 2 failed\n", id="failed"),
    ],
)
def test_quiet_is_one_line(compare, pair, gates, code, out):
    ran = compare(*pair, *gates, "--quiet")
    assert (ran.code, ran.out) == (code, out)
    assert len(ran.told("error")) == len(ran.err.splitlines()) == (2 if code else 0)


def test_quiet_without_gates_is_one_line_of_metrics(compare, pair):
    ran = compare(*pair, "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(
        r"cosine_text [\d.]+, cosine_text_min [\d.]+, spearman_text [\d.]+, size_ratio 0\.306\n",
        ran.out,
    )


def test_a_long_comparison_says_so(compare, gpt, monkeypatch):
    monkeypatch.setattr("quantcli.cli.compare.LONG", 0.0)
    told = compare(*gpt).err.splitlines()
    assert re.fullmatch(
        r"about \d+ s left; --samples, --max-tokens and --no-generate shorten it", told[1]
    )
    assert " left" not in compare(*gpt, "--quiet").err


def test_no_sample_is_continued_without_generate(compare, gpt):
    ran = compare(*gpt, "--no-generate", "--json")
    found = ran.json()
    assert found["generated"] == []
    assert "kl_mean" in found["metrics"]
    assert not [name for name in found["metrics"] if name.startswith(("generation", "tokens_per"))]
    assert "continued" not in ran.err


def test_a_seed_has_no_maximum(compare, pair):
    assert compare(*pair, "--seed", 2**32, "--json").json()["seed"] == 2**32


def test_swapped_models_are_refused(compare, pair):
    original, frozen = pair
    ran = compare(frozen, original)
    assert ran.code == 2
    assert ran.told("error") == [
        f"{frozen} is a frozen directory, and {original} is not: the original model comes first"
    ]
    assert ran.told("hint") == [f"quantcli compare {original} {frozen}"]


def test_a_gate_on_what_the_samples_reach(compare, pair):
    ran = compare(*pair, "--min-exercised", "1")
    assert ran.code == 0
    assert rows(ran.out)["exercised >= 1"] == ["1", "passed"]


def test_the_libraries_say_nothing(gpt, tmp_path):
    """The one run of a real process, with a bar on a terminal."""
    words = ["compare", *map(str, gpt), "--samples", "3", "--json"]
    with terminal(80) as (name, read), open(name, "w") as stream:  # noqa: PTH123
        found = subprocess.run(
            [sys.executable, "-m", "quantcli", *words],
            stdout=subprocess.PIPE,
            stderr=stream,
            env={**os.environ, "TERM": "xterm"},
            text=True,
            check=True,
            cwd=tmp_path,
            timeout=120,
        )
        stream.close()
        seen = read()
    assert json.loads(found.stdout)["passed"] is True
    assert "comparing" in seen
    assert "/6" in seen
    assert not re.findall("(?i)loading|warning|torch|generation flags|it/s", seen)
    assert not list(tmp_path.iterdir())


# How it ends


def test_every_gate_that_fails_is_named(compare, pair):
    ran = compare(*pair, *NEVER, "--min-cosine", "0.5", "--min-coverage", "0.99")
    assert ran.code == 1
    said = [line.partition(" is ")[0] for line in ran.told("error")]
    assert said == [f"gate failed: {name}" for name in ("size_ratio", "coverage", "cosine_text")]
    assert ran.told("error")[0].endswith(", but must be <= 0.1 (--max-size-ratio)")


def test_report_only_never_fails(compare, pair):
    ran = compare(*pair, *NEVER, "--report-only", "--json")
    assert (ran.code, ran.told("error")) == (0, [])
    assert ran.json()["passed"] is False


def test_an_uncertain_gate_fails_where_it_is_strict(compare, pair):
    found = compare(*pair, "--json").json()
    low, _ = found["intervals"]["cosine_text"]
    gate = ["--gate", f"cosine_text>={(low + found['metrics']['cosine_text']) / 2!r}"]
    ran = compare(*pair, *gate)
    assert (ran.code, ran.told("error")) == (0, [])
    assert ran.out.endswith("\n1 gate: 1 passed (1 uncertain)\n")
    ran = compare(*pair, *gate, "--strict", "--json")
    assert ran.code == 1
    assert "uncertain: its 95 % interval is" in ran.told("error")[0]
    assert [gate["uncertain"] for gate in ran.json()["gates"]] == [True]
    assert compare(*pair, *gate, "--strict", "--report-only").code == 0


def test_a_gate_that_the_value_violates_fails_whatever_its_interval(compare, pair):
    found = compare(*pair, "--json").json()
    _, high = found["intervals"]["cosine_text"]
    gate = f"cosine_text>={(high + found['metrics']['cosine_text']) / 2!r}"
    ran = compare(*pair, "--gate", gate, "--json")
    assert ran.code == 1
    assert [gate["status"] for gate in ran.json()["gates"]] == ["failed"]
    assert [gate["uncertain"] for gate in ran.json()["gates"]] == [False]


@pytest.mark.parametrize(
    ("kind", "tensor", "output"),
    [
        pytest.param("bert", "embeddings.LayerNorm.bias", "text", id="every output"),
        pytest.param("bert-classifier", "classifier.weight", "logits", id="one of the logits"),
    ],
)
def test_an_output_that_is_not_finite(compare, tiny_model, tmp_path, kind, tensor, output):
    folder = tiny_model(kind)
    copy = broken(folder, tmp_path / "broken", tensor)
    ran = compare(folder, copy, "--max-size-ratio", "1", "--json", "--junit", "report.xml")
    assert ran.code == 1
    message = f"the output {output} has NaN or infinite values in 3 of 3 samples"
    assert ran.told("error") == [f"gate failed: {message}"]
    found = ran.json()
    assert found["nonfinite"] == {output: 3}
    assert [gate["passed"] for gate in found["gates"]] == [True, False]
    failures = ET.parse(tmp_path / "report.xml").findall(".//failure")
    assert [failure.get("message") for failure in failures] == [message]
    assert rows(compare(folder, copy).out)[f"nonfinite_{output} <= 0"] == ["3", "failed"]


def test_a_gate_on_what_was_not_measured_fails(compare, tiny_model, tmp_path):
    folder = tiny_model("bert")
    copy = broken(folder, tmp_path / "broken", "embeddings.LayerNorm.bias")
    ran = compare(folder, copy, "--min-cosine", "0.5", "--json")
    assert (ran.code, len(ran.told("error"))) == (1, 2)
    assert [gate["value"] for gate in ran.json()["gates"]] == [None, 3]


# What it writes


def test_every_key_and_every_format_is_an_option():
    options = {
        parameter.name for parameter in typer.main.get_command(app).commands["compare"].params
    }
    assert options >= {*FORMATS, *GateOptions.model_fields}
    assert {*CompareOptions.model_fields} - options == {"generate"}  # it is --no-generate


@pytest.mark.parametrize("gates", [[], NEVER], ids=["passed", "failed"])
def test_reports(compare, pair, tmp_path, gates):
    old = tmp_path / "report.md"
    old.write_text("old")
    files = ["--markdown", old, "--junit", "not/there yet/report.xml"]
    ran = compare(*pair, *gates, *files, "--save-baseline", "base.json")
    assert ran.code == (1 if gates else 0)
    text = old.read_text()
    assert text.startswith(f"# {pair[1]} against ".replace("_", r"\_"))
    assert ("**Failed**: 2 gates: 2 failed." in text) == bool(gates)
    suite = ET.parse(tmp_path / "not/there yet/report.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == (("2", "2") if gates else ("1", "0"))
    assert "cosine_text" in json.loads((tmp_path / "base.json").read_text())["metrics"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.json", "not", "report.md"]


@pytest.mark.parametrize("option", ["--markdown", "--junit", "--save-baseline"])
@pytest.mark.parametrize("place", ["folder", "file/report"])
@pytest.mark.usefixtures("unloaded")
def test_a_report_that_cannot_be_written_is_told_first(compare, pair, tmp_path, option, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("precious")
    ran = compare(*pair, option, place)
    assert (ran.code, ran.out) == (4, "")
    assert ran.told("error")[0].startswith("cannot write ")
    assert (tmp_path / "file").read_text() == "precious"


def test_in_github_actions(compare, pair, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    (tmp_path / "summary").write_text("before\n")
    ran = compare(*pair, *NEVER, "--json")
    assert (ran.code, ran.json()["passed"]) == (1, False)
    annotations = [line for line in ran.err.splitlines() if line.startswith("::")]
    assert [line.split(" title=")[0] for line in annotations] == ["::error", "::error"]
    summary = (tmp_path / "summary").read_text()
    assert summary.startswith("before\n# ")
    assert "**Failed**: 2 gates: 2 failed." in summary
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "not there" / "summary"))
    ran = compare(*pair)
    assert (ran.code, ran.out[-9:]) == (0, "no gates\n")
    assert "cannot add to the step summary: No such file or directory" in ran.told("warning")


# What it is fed


def test_a_sample_that_is_cut_is_told(compare, gpt):
    ran = compare(*gpt, "--text", "the cat " * 500, "--max-tokens", "1", samples=None)
    assert ran.told("warning") == ["too long for the model and truncated: --text 1"]
    assert ran.code == 0


def test_samples_of_every_sort(compare, freeze, tmp_path):
    from PIL import Image

    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    (tmp_path / "data.jsonl").write_text(
        '{"text": "ein größerer Kreis ⭕", "image": "red.png"}\n\n{"text": "a red circle"}\n',
        encoding="utf-8",
    )
    folder = trained.model("clip")
    words = ["--data", "data.jsonl", "--image", "red.png", "--text", "a blue square"]
    found = compare(folder, freeze(folder, "int8"), *words, "--json", samples=None).json()
    assert (found["task"], found["samples"]) == ("text-image-embedding", 5)
    assert {"cosine_text", "cosine_image", "top1_agreement"} <= found["metrics"].keys()
    assert found["notices"] == []
