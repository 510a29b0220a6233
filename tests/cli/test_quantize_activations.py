"""`quantcli quantize --activations`: what it prints, and what it refuses."""

from __future__ import annotations

import json

import pytest
from messages import assert_says

from quantcli.cli import main

QUANTIZE = ("quantize", "bert", "--activations", "int8")


@pytest.fixture(autouse=True)
def _bert(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bert").symlink_to(tiny_model("bert"))


def test_json_says_how_they_were_calibrated(capsys):
    assert main([*QUANTIZE, "--calibration-samples", "2", "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)["activations"]
    assert (found["qtype"], found["samples"], found["synthetic"]) == ("qint8", 2, True)
    assert "calibrating: 2 of 2 samples" in captured.err
    assert main(["verify", "bert-int8"]) == 0
    assert main(["inspect", "bert-int8", "--against", "bert"]) == 0
    assert main(["compare", "bert", "bert-int8", "--samples", "2"]) == 0


def test_a_dry_run_shows_the_plan(tmp_path, capsys):
    assert main([*QUANTIZE, "--dry-run", "--json"]) == 0
    tensors = json.loads(capsys.readouterr().out)["tensors"]
    assert {tensor["activations"] for tensor in tensors} == {None, "qint8"}
    assert not (tmp_path / "bert-int8").exists()


def test_a_recipe_names_dtype_and_samples(tmp_path, capsys):
    text = 'model = "bert"\nactivations = "fp8"\n[calibration]\nsamples = 1\nseed = 3\n'
    (tmp_path / "own.toml").write_text(text)
    assert main(["quantize", "--recipe", "own.toml", "--json", "-q"]) == 0
    found = json.loads(capsys.readouterr().out)["activations"]
    assert (found["qtype"], found["samples"]) == ("qfloat8_e4m3fn", 1)


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["--activations", "int4"], ("--activations", "int4"), "int8"),
        (["-w", "float16", "--activations", "int8"], ("activations", "float16"), "int8"),
        (["--calibration-samples", "2"], "samples", "--activations"),
        (["--activations", "int8", "--calibration-data", "none.jsonl"], "none.jsonl", ()),
    ],
)
def test_refusals(fails, words, error, hint):
    code, message, hinted = fails("quantize", "bert", *words)
    assert code == 2
    assert_says(message, error)
    if hint:
        assert_says(hinted, hint)
