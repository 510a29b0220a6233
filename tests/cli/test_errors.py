"""Bad input: one `error:` line, a way out, the right exit code, and nothing left behind."""

from __future__ import annotations

import errno
import json
import os
import shutil

import pytest
import torch
from hub import Hub
from safetensors.torch import load_file, save_file

from quantcli.cli import main


@pytest.fixture
def bert(tiny_model, tmp_path):
    """Return a copy of a tiny BERT that a test may break."""
    return shutil.copytree(tiny_model("bert"), tmp_path / "bert")


@pytest.fixture
def fails(capsys, tmp_path, monkeypatch):
    """Run a command that must fail; return the exit code, the error and the hint."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        before = sorted(path.name for path in tmp_path.iterdir())
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert captured.out == ""
        lines = [line for line in captured.err.splitlines() if not line.startswith("warning:")]
        assert lines[0].startswith("error: "), captured.err
        assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        return code, lines[0], lines[1] if len(lines) > 1 else ""

    return run


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
    ("break_it", "says", "hints"),
    [
        pytest.param(no_weights, "no weights", "", id="no weights"),
        pytest.param(no_config, "no config.json", "transformers' format", id="no config"),
        pytest.param(
            unknown_architecture, "does not know this architecture", "upgrade", id="unknown"
        ),
        pytest.param(
            code_of_its_own, "code is in the repository", "--trust-remote-code", id="code"
        ),
        pytest.param(truncated, "model.safetensors", "", id="truncated"),
        pytest.param(
            lacking,
            "1 tensor missing (encoder.layer.1.output.dense.weight)",
            "the class that was saved",
            id="tensor missing",
        ),
        pytest.param(
            misshapen,
            "1 tensor of another shape (pooler.dense.bias is [3], not [128])",
            "not from the same",
            id="shape",
        ),
        pytest.param(
            already_quantized,
            "bert is already quantized (gptq)",
            "quantize the original model",
            id="quantized",
        ),
    ],
)
def test_models_that_are_not_sound(bert, fails, break_it, says, hints):
    break_it(bert)
    code, error, hint = fails("quantize", bert)
    assert code == 3
    assert says in error
    assert hints in hint


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
    assert (code, error.startswith(f"error: {name}: weights are not finite")) == (3, True)
    assert "nothing was written" in hint


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
    assert (code, error) == (3, f"error: {name}: 1e+05 overflows float16")
    assert "bfloat16" in hint


@pytest.mark.parametrize(
    ("options", "says", "hints"),
    [
        pytest.param(
            ["-w", "int9"], "unknown weight dtype: int9", "did you mean int8?", id="dtype"
        ),
        pytest.param(["--include", "nope*"], "matches no module", "named like", id="include"),
        pytest.param(["--recipe", "flan-t5-smal"], "unknown recipe", "flan-t5-small", id="recipe"),
        pytest.param(["--rest", "float8"], "unknown value: float8", "float16", id="rest"),
        pytest.param(["--optimizer", "hqq"], "hqq is only for int4", "max", id="optimizer"),
        pytest.param(["--group-size", "3", "-w", "int4"], "multiple of 8", "128", id="group size"),
        pytest.param(["--max-shard-size", "big"], "not a size: big", "5GB", id="size"),
        pytest.param(["--nope"], "no such option: --nope", "--help", id="option"),
    ],
)
def test_usage(bert, fails, options, says, hints):
    code, error, hint = fails("quantize", bert, *options)
    assert code == 2
    assert says in error
    assert hints in hint


def test_an_unknown_key_of_a_recipe(bert, fails, tmp_path):
    (tmp_path / "mine.toml").write_text('wieghts = "int8"\n')
    code, error, hint = fails("quantize", bert, "--recipe", tmp_path / "mine.toml")
    assert code == 2
    assert "wieghts" in error
    assert "weights" in hint


def test_an_output_that_exists(bert, fails, capsys):
    assert main(["quantize", str(bert), "-q"]) == 0
    capsys.readouterr()
    found = fails("quantize", bert)
    assert found == (2, "error: bert-int8 already exists", "hint: use --overwrite or another -o")


@pytest.mark.parametrize("options", [[], ["--overwrite"]], ids=["plain", "overwrite"])
def test_a_folder_of_the_users_own_is_never_replaced(bert, fails, tmp_path, options):
    (tmp_path / "bert-int8").mkdir()
    (tmp_path / "bert-int8" / "precious").write_text("mine")
    code, error, hint = fails("quantize", bert, *options)
    says = "error: bert-int8 already exists, and is not a frozen directory of quantcli"
    assert (code, error, hint) == (2, says, "hint: use another -o, or delete it first")
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
    assert (code, error) == (2, "error: empty is the current folder, and cannot be replaced")
    assert hint == "hint: use a folder in it: -o empty/NAME"
    assert (tmp_path / "empty").stat().st_ino == before


def test_a_mount_point_is_refused_before_the_work(bert, fails, monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr("pathlib.Path.is_mount", lambda path: path.name == "empty")
    code, error, _ = fails("quantize", bert, "-o", "empty")
    assert (code, "is a mount point" in error) == (2, True)


def test_a_frozen_directory_is_not_quantized_again(bert, fails, capsys, tmp_path):
    assert main(["quantize", str(bert), "-o", str(tmp_path / "frozen"), "-q"]) == 0
    capsys.readouterr()
    code, error, _ = fails("quantize", tmp_path / "frozen")
    assert (code, "frozen is already a frozen directory" in error) == (3, True)


@pytest.mark.parametrize("call", ["posix_fallocate", "pwrite"])
def test_a_full_disk(bert, fails, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    code, error, hint = fails("quantize", bert)
    assert (code, "no space left" in error, "-o" in hint) == (4, True, True)


def test_too_little_space(bert, fails, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    code, error, _ = fails("quantize", bert)
    assert (code, "no space left: " in error) == (4, True)


def test_a_place_that_cannot_be_written(bert, fails, tmp_path):
    (tmp_path / "file").write_text("")
    code, error, _ = fails("quantize", bert, "-o", tmp_path / "file" / "out")
    assert code in (2, 4)
    assert str(tmp_path / "file" / "out") in error


def test_no_folder(fails):
    code, error, hint = fails("size", "./nope")
    assert (code, error) == (3, "error: no such folder: ./nope")
    assert hint


def test_the_hub(fails, bert, tmp_path_factory):
    home = tmp_path_factory.mktemp("hub")
    with Hub(home) as hub:
        hub.add_repo("org/bert", bert)
        hub.add_repo("org/gated", bert, gated=True)
        with hub.in_process():
            code, error, hint = fails("quantize", "org/nothing")
            assert (code, "no model org/nothing" in error, "hf auth login" in hint) == (
                3,
                True,
                True,
            )
            code, error, hint = fails("quantize", "org/gated")
            assert (code, "gated" in error + hint) == (3, True)
            code, error, hint = fails("quantize", "org/bert", "--revision", "nope")
            assert (code, "no revision nope" in error) == (3, True)
        with hub.in_process(offline=True):
            code, error, hint = fails("quantize", "org/bert")
            assert (code, "offline" in error, "HF_HUB_OFFLINE" in hint) == (3, True, True)


def test_debug_shows_the_traceback(bert, monkeypatch):
    from quantcli.errors import UsageError

    monkeypatch.setenv("QUANTCLI_DEBUG", "1")
    with pytest.raises(UsageError):
        main(["quantize", str(bert), "-w", "int9"])
