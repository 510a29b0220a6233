"""Bad input: one `error:` line, a way out, the right exit code, and nothing left behind."""

from __future__ import annotations

import errno
import json
import os
import shutil

import pytest
import torch
from hub import Hub
from messages import assert_says, assert_silent
from safetensors.torch import load_file, save_file

from quantcli.cli import main


@pytest.fixture
def bert(tiny_model, tmp_path):
    """Return a copy of a tiny BERT that a test may break."""
    return shutil.copytree(tiny_model("bert"), tmp_path / "bert")


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def no_weights(folder):
    (folder / "model.safetensors").unlink()


def no_config(folder):
    (folder / "config.json").unlink()


def unknown_architecture(folder):
    edit_config(folder, model_type="quux", architectures=["QuuxModel"])


def code_of_its_own(folder):
    edit_config(
        folder,
        model_type="quux",
        architectures=["QuuxModel"],
        auto_map={"AutoConfig": "quux.QuuxConfig", "AutoModel": "quux.QuuxModel"},
    )
    (folder / "quux.py").write_text("raise SystemExit('code was run')")


def truncated(folder):
    path = folder / "model.safetensors"
    os.truncate(path, path.stat().st_size - 1000)


def lacking(folder):
    edit_weights(folder, lambda tensors: tensors.pop("encoder.layer.1.output.dense.weight"))


def misshapen(folder):
    def change(tensors):
        tensors["pooler.dense.bias"] = torch.zeros(3)

    edit_weights(folder, change)


def already_quantized(folder):
    edit_config(folder, quantization_config={"quant_method": "gptq", "bits": 4})


@pytest.mark.parametrize(
    ("break_it", "facts", "hints"),
    [
        pytest.param(no_weights, "weights", ("model.safetensors", "pytorch_model.bin"), id="none"),
        pytest.param(no_config, "config.json", "transformers", id="no config"),
        pytest.param(unknown_architecture, "QuuxModel", ("upgrade", "transformers"), id="unknown"),
        pytest.param(code_of_its_own, ("QuuxModel", "code"), "--trust-remote-code", id="code"),
        pytest.param(truncated, ("model.safetensors", "1,000 bytes"), "download", id="truncated"),
        pytest.param(
            lacking,
            ("BertModel", "1 tensor", "missing", "encoder.layer.1.output.dense.weight"),
            ("class", "--class"),
            id="tensor missing",
        ),
        pytest.param(
            misshapen,
            ("BertModel", "1 tensor", "pooler.dense.bias", "[3]", "[128]"),
            "config.json",
            id="shape",
        ),
        pytest.param(already_quantized, ("quantized", "gptq"), "original", id="quantized"),
    ],
)
def test_models_that_are_not_sound(bert, fails, break_it, facts, hints):
    break_it(bert)
    code, error, hint = fails("quantize", bert)
    assert code == 3
    assert_says(error, facts)
    assert_says(hint, hints)


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=["nan", "inf"])
@pytest.mark.parametrize("weights", ["int8", "int4", "float8", "bfloat16"])
@pytest.mark.parametrize(
    "name", ["encoder.layer.0.output.dense.weight", "embeddings.word_embeddings.weight"]
)
def test_weights_that_are_not_finite(bert, fails, name, weights, value):
    def change(tensors):
        tensors[name][3, 5] = value

    edit_weights(bert, change)
    code, error, hint = fails("quantize", bert, "-w", weights)
    assert code == 3
    assert_says(error, name, "not finite")
    assert_says(hint, "nothing was written")


@pytest.mark.parametrize(
    "options", [["-w", "float16"], ["--rest", "float16"]], ids=["downcast", "rest"]
)
@pytest.mark.parametrize(
    "name", ["encoder.layer.0.output.dense.weight", "embeddings.word_embeddings.weight"]
)
def test_values_that_overflow(bert, fails, name, options):
    def change(tensors):
        tensors[name][3, 5] = 1e5

    edit_weights(bert, change)
    code, error, hint = fails("quantize", bert, *options)
    assert code == 3
    assert_says(error, name, "1e+05", "float16")
    assert_says(hint, "bfloat16")


@pytest.mark.parametrize(
    ("options", "facts", "hints"),
    [
        pytest.param(["-w", "int9"], ("dtype", "int9"), "int8", id="dtype"),
        pytest.param(
            ["--include", "nope*"],
            "--include nope*",
            "encoder.layer.1.attention.self.query",
            id="include",
        ),
        pytest.param(
            ["--recipe", "flan-t5-smal"], ("recipe", "flan-t5-smal"), "flan-t5-small", id="recipe"
        ),
        pytest.param(["--rest", "float8"], ("--rest", "float8"), "float16", id="rest"),
        pytest.param(["--optimizer", "hqq"], ("hqq", "int4", "int2"), "max", id="optimizer"),
        pytest.param(["--group-size", "3", "-w", "int4"], ("3", "8"), "128", id="group size"),
        pytest.param(["--max-shard-size", "big"], "big", ("5GB", "500MB"), id="size"),
        pytest.param(["--nope"], "--nope", "--help", id="option"),
    ],
)
def test_usage(bert, fails, options, facts, hints):
    code, error, hint = fails("quantize", bert, *options)
    assert code == 2
    assert_says(error, facts)
    assert_says(hint, hints)


def test_an_unknown_key_of_a_recipe(bert, fails, tmp_path):
    (tmp_path / "mine.toml").write_text('wieghts = "int8"\n')
    code, error, hint = fails("quantize", bert, "--recipe", tmp_path / "mine.toml")
    assert code == 2
    assert_says(error, "mine.toml", "wieghts")
    assert_says(hint, "weights")


def test_an_output_that_exists(bert, fails, capsys):
    assert main(["quantize", str(bert), "-q"]) == 0
    capsys.readouterr()
    code, error, hint = fails("quantize", bert)
    assert code == 2
    assert_says(error, "bert-int8", "exists")
    assert_says(hint, "--overwrite", "-o")


@pytest.mark.parametrize("options", [[], ["--overwrite"]], ids=["plain", "overwrite"])
def test_a_folder_of_the_users_own_is_never_replaced(bert, fails, tmp_path, options):
    (tmp_path / "bert-int8").mkdir()
    (tmp_path / "bert-int8" / "precious").write_text("mine")
    code, error, hint = fails("quantize", bert, *options)
    assert code == 2
    assert_says(error, "bert-int8", "exists", "frozen")
    assert_says(hint, "-o", "delete")
    assert_silent(hint, "--overwrite")
    assert (tmp_path / "bert-int8" / "precious").read_text() == "mine"


def test_an_empty_folder_is_a_fine_output(bert, tmp_path):
    (tmp_path / "out").mkdir()
    assert main(["quantize", str(bert), "-o", str(tmp_path / "out"), "-q"]) == 0
    assert main(["verify", str(tmp_path / "out")]) == 0


def test_the_current_folder_is_not_replaced(bert, fails, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    before = (tmp_path / "empty").stat().st_ino
    monkeypatch.setattr("pathlib.Path.cwd", lambda: tmp_path / "empty")
    code, error, hint = fails("quantize", bert, "-o", "empty")
    assert code == 2
    assert_says(error, "empty", "current folder")
    assert_says(hint, "-o empty/NAME")
    assert (tmp_path / "empty").stat().st_ino == before


def test_a_mount_point_is_refused_before_the_work(bert, fails, monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr("pathlib.Path.is_mount", lambda path: path.name == "empty")
    code, error, hint = fails("quantize", bert, "-o", "empty")
    assert code == 2
    assert_says(error, "empty", "mount point")
    assert_says(hint, "-o empty/NAME")


def test_a_frozen_directory_is_not_quantized_again(bert, fails, capsys, tmp_path):
    assert main(["quantize", str(bert), "-o", str(tmp_path / "frozen"), "-q"]) == 0
    capsys.readouterr()
    code, error, _ = fails("quantize", tmp_path / "frozen")
    assert code == 3
    assert_says(error, str(tmp_path / "frozen"), "already", "frozen")


@pytest.mark.parametrize("call", ["posix_fallocate", "pwrite"])
def test_a_full_disk(bert, fails, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    code, error, hint = fails("quantize", bert)
    assert code == 4
    assert_says(error, "space")
    assert_says(hint, "-o")


def test_too_little_space(bert, fails, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    code, error, hint = fails("quantize", bert)
    assert code == 4
    assert_says(error, "space", "bert-int8", "0.000 GB")
    assert_says(hint, "-o")


def test_a_place_that_cannot_be_written(bert, fails, tmp_path):
    (tmp_path / "file").write_text("")
    code, error, _ = fails("quantize", bert, "-o", tmp_path / "file" / "out")
    assert code in (2, 4)
    assert str(tmp_path / "file" / "out") in error


def test_no_folder(fails):
    code, error, hint = fails("size", "./nope")
    assert code == 3
    assert_says(error, "folder", "./nope")
    assert hint


def test_the_hub(fails, bert, tmp_path_factory):
    home = tmp_path_factory.mktemp("hub")
    with Hub(home) as hub:
        hub.add_repo("org/bert", bert)
        hub.add_repo("org/gated", bert, gated=True)
        with hub.in_process():
            code, error, hint = fails("quantize", "org/nothing")
            assert code == 3
            assert_says(error, "org/nothing")
            assert_says(hint, "hf auth login")
            code, error, hint = fails("quantize", "org/gated")
            assert code == 3
            assert_says(f"{error} {hint}", "org/gated", "gated")
            code, error, hint = fails("quantize", "org/bert", "--revision", "nope")
            assert code == 3
            assert_says(error, "org/bert", "nope")
        with hub.in_process(offline=True):
            code, error, hint = fails("quantize", "org/bert")
            assert code == 3
            assert_says(error, "offline", "org/bert")
            assert_says(hint, "HF_HUB_OFFLINE")


def test_debug_shows_the_traceback(bert, monkeypatch):
    from quantcli.errors import UsageError

    monkeypatch.setenv("QUANTCLI_DEBUG", "1")
    with pytest.raises(UsageError):
        main(["quantize", str(bert), "-w", "int9"])
