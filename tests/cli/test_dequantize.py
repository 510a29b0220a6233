"""`quantcli dequantize`: what it prints, and what it refuses."""

from __future__ import annotations

import json
import shutil

import pytest
from messages import assert_says, told

from quantcli.cli import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command; return its exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def dequantize(*words):
        capsys.readouterr()
        code = main(["dequantize", *map(str, words)])
        return code, *capsys.readouterr()

    return dequantize


def test_it_says_what_it_did(frozen, run, tmp_path):
    directory = frozen("bert", "int8")
    code, out, err = run(directory, "-o", "plain")
    assert code == 0
    assert_says(out, "plain", "float32")
    assert "dequantizing" in err
    assert (tmp_path / "plain" / "model.safetensors").exists()


def test_quiet(frozen, run):
    assert run(frozen("bert", "int8"), "-o", "plain", "-q") == (0, "plain\n", "")


def test_json(frozen, run, tmp_path):
    directory = frozen("bert", "int4")
    code, out, _ = run(directory, "-o", "plain", "--json", "--dtype", "bf16", "--jobs", 1)
    found = json.loads(out)
    manifest = json.loads((directory / "quantcli.json").read_text())
    assert code == 0
    assert found["bytes"] == 2 * manifest["footprint"]["parameters"]
    assert found["frozen"]["bytes"] == manifest["footprint"]["quantized"]["bytes"]
    assert (found["directory"], found["output"]) == (str(directory), "plain")
    assert (found["weights"], found["dtype"]) == ("int4", "bfloat16")
    assert found["seconds"] <= found["seconds_total"]
    config = json.loads((tmp_path / "plain" / "config.json").read_text())
    assert config["dtype"] == "bfloat16"


def test_shards(frozen, run, tmp_path):
    code, _, _ = run(frozen("bert", "int8"), "-o", "plain", "--max-shard-size", "500KB")
    assert code == 0
    assert (tmp_path / "plain" / "model.safetensors.index.json").exists()


def test_overwrite(frozen, run):
    directory = frozen("bert", "int8")
    assert run(directory, "-o", "plain")[0] == 0
    code, _, err = run(directory, "-o", "plain")
    assert code == 2
    assert_says(told(err, "hint")[0], "--overwrite")
    assert run(directory, "-o", "plain", "--overwrite")[0] == 0


def test_bad_input(frozen, tiny_model, fails, tmp_path):
    directory, copy = frozen("bert", "int8"), tmp_path / "copy"
    shutil.copytree(directory, copy)
    cases = [
        (("nowhere", "-o", "plain"), 3, "nowhere"),
        ((tiny_model("bert"), "-o", "plain"), 3, "not a frozen directory"),
        ((directory,), 2, "-o"),
        ((directory, "-o", "plain", "--dtype", "int8"), 2, "--dtype"),
        ((directory, "-o", "plain", "--max-shard-size", "much"), 2, "much"),
        ((copy, "-o", copy), 2, "copy"),
        ((copy, "-o", copy / "inner"), 2, "inner"),
        ((directory, directory, "-o", "plain"), 2, "unexpected"),
    ]
    for words, expected, fact in cases:
        code, error, _ = fails("dequantize", *words)
        assert code == expected, words
        assert fact in error


def test_damaged_directories(frozen, fails, tmp_path):
    copy = shutil.copytree(frozen("bert", "int8"), tmp_path / "copy")
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[:-100])
    assert fails("dequantize", copy, "-o", "plain")[0] == 3
    (copy / "model.safetensors").unlink()
    assert fails("dequantize", copy, "-o", "plain")[0] == 3
    (copy / "model.safetensors").write_bytes(weights)
    (copy / "quantcli.json").unlink()
    code, error, hint = fails("dequantize", copy, "-o", "plain")
    assert code == 3
    assert_says(error, "quantcli.json")
    assert hint
