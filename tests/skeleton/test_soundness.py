"""Dtypes of config.json that name no dtype: an error that names the key, wherever it stands."""

from __future__ import annotations

import json
import shutil

import pytest
from messages import assert_says

from quantcli.cli import main

DTYPES = ["nn", "Tensor", "load", "torch.float32", "auto", 16, {"": "nn"}, {"text_config": 3}]


def changed(folder, copy, **changes):
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text()) | changes
    (copy / "config.json").write_text(json.dumps(config))
    return str(copy)


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("command", ["size", "quantize"])
def test_what_is_no_dtype(tiny_model, tmp_path, capsys, command, dtype, key):
    folder = changed(tiny_model("bert"), tmp_path / "model", **{key: dtype})
    assert main([command, folder]) == 3
    error = capsys.readouterr().err.splitlines()[0]
    assert_says(error, "error:", "config.json", folder, key, json.dumps(dtype))


def test_in_a_part_of_the_config(tiny_model, tmp_path, capsys):
    text = json.loads((tiny_model("clip") / "config.json").read_text())["text_config"]
    text["dtype"] = "nn"
    folder = changed(tiny_model("clip"), tmp_path / "model", text_config=text)
    assert main(["size", folder]) == 3
    assert_says(capsys.readouterr().err, "text_config.dtype", '"nn"')


def test_a_dtype_that_no_model_computes_in(tiny_model, tmp_path, capsys):
    folder = changed(tiny_model("bert"), tmp_path / "model", dtype="float8_e4m3fn")
    assert main(["size", folder]) == 3
    error, hint = capsys.readouterr().err.splitlines()
    assert_says(error, "error:", folder, "torch.float8_e4m3fn")
    assert_says(hint, "hint:", "--rest bfloat16")
    assert main(["quantize", folder, "--rest", "bfloat16", "-o", str(tmp_path / "out"), "-q"]) == 0


@pytest.mark.parametrize("dtype", [None, "float32", {"": "float32"}], ids=str)
def test_what_is_a_dtype(tiny_model, tmp_path, dtype):
    assert main(["size", changed(tiny_model("bert"), tmp_path / "model", dtype=dtype)]) == 0
