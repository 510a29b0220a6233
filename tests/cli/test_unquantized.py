"""A model of which nothing would be quantized: an error with the reason, unless it is allowed."""

from __future__ import annotations

import json

import pytest
from messages import assert_says, assert_silent, refuses, told

import quantcli
from quantcli.cli import main
from quantcli.errors import ModelError

REASON = ("8 Conv1D", "2 Embedding", "smaller", "--embeddings")
"""How many weights of which kind are kept, and why."""


@pytest.fixture(scope="module")
def smallest(tmp_path_factory):
    """Build a GPT-2 so small that its scales would take more than they save."""
    import torch
    import transformers

    config = transformers.GPT2Config(
        n_embd=2, n_inner=2, n_head=1, n_layer=2, vocab_size=99, n_positions=64
    )
    folder = tmp_path_factory.mktemp("smallest") / "gpt2"
    transformers.GPT2LMHeadModel(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture
def gpt2(smallest, tmp_path, monkeypatch):
    """Link it into a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").symlink_to(smallest)
    return "gpt2"


def test_it_is_an_error(gpt2, tmp_path, capsys):
    assert main(["quantize", gpt2, "-w", "int4"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    error, hint = captured.err.splitlines()
    assert_says(error, "error:", "int4", "gpt2", *REASON)
    assert_says(hint, "hint:", "--allow-unquantized", "-w bfloat16")
    assert [path.name for path in tmp_path.iterdir()] == ["gpt2"]


def test_it_can_be_allowed(gpt2, capsys):
    assert main(["quantize", gpt2, "--allow-unquantized", "-o", "out"]) == 0
    (warning,) = told(capsys.readouterr().err, "warning")
    assert_says(warning, REASON)
    assert main(["verify", "out"]) == 0
    assert main(["compare", gpt2, "out", "--samples", "2", "-q"]) == 0


@pytest.mark.parametrize("as_json", [False, True])
def test_a_dry_run_shows_the_plan_first(gpt2, capsys, as_json):
    assert main(["quantize", gpt2, "--dry-run", *(["--json"] if as_json else [])]) == 3
    captured = capsys.readouterr()
    (error,) = told(captured.err, "error")
    assert_says(error, "int8", "gpt2", *REASON)
    if as_json:
        assert json.loads(captured.out)["tensors_quantized"] == 0
    else:
        assert_says(captured.out, "0 tensors")
    assert main(["quantize", gpt2, "--dry-run", "--allow-unquantized"]) == 0


def test_size_shows_all_rows(gpt2, capsys):
    assert main(["size", gpt2, "--json"]) == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["predictions"]) == 7
    warnings = told(captured.err, "warning")
    assert warnings
    for warning in warnings:
        assert_says(warning, REASON)


def test_a_downcast_quantizes_nothing_and_is_right(gpt2):
    assert main(["quantize", gpt2, "-w", "bfloat16", "-q"]) == 0


def test_what_the_user_excluded_is_the_reason(tiny_model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = str(tiny_model("bert"))
    capsys.readouterr()  # making the model shows progress
    assert main(["quantize", folder, "--exclude", "*", "-o", "out"]) == 3
    error, hint = capsys.readouterr().err.splitlines()
    assert_says(error, "error:", folder, "int8", "13 Linear", "*", "3 Embedding")
    assert_says(hint, "hint:", "exclude", "--allow-unquantized")
    assert_silent(hint, "-w")


def test_in_python(gpt2):
    for call in (quantcli.plan, quantcli.quantize):
        with refuses(ModelError, "int8", "gpt2", *REASON):
            call(gpt2)
    assert quantcli.plan(gpt2, allow_unquantized=True).quantized == ()
    assert quantcli.quantize(gpt2, allow_unquantized=True).output.is_dir()
