"""What users and broken downloads come up with: said in a line, and never a traceback."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from hub import Hub
from interpreters import QUANTCLI
from messages import assert_says
from safetensors.torch import load_file, save_file

from quantcli.cli import main
from quantcli.execute import run as run_module
from quantcli.frozen import write

CAPTURED = {"capture_output": True, "text": True, "check": False}


@pytest.fixture
def bert(tiny_model, tmp_path, monkeypatch):
    """Copy a tiny BERT that a test may break into the current folder."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(tiny_model("bert"), tmp_path / "bert")


@pytest.fixture
def fails(capsys, tmp_path, monkeypatch):
    """Run a command that must fail; return the exit code, the error and the hint."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        before = sorted(tmp_path.iterdir())
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        error, *hint = captured.err.splitlines()
        assert (captured.out, error[:7], len(hint) < 2) == ("", "error: ", True), captured.err
        assert all(line.startswith("hint: ") for line in hint)
        assert sorted(tmp_path.iterdir()) == before
        return code, error, "".join(hint)

    return run


CONFIGS = [
    pytest.param({"architectures": "BertModel"}, "architectures cannot be", id="class in quotes"),
    pytest.param({"architectures": [3]}, "architectures cannot be [3]", id="class a number"),
    pytest.param({"architectures": ["TFBertModel"]}, "TFBertModel", id="class of tensorflow"),
    pytest.param({"architectures": ["LlamaModel"]}, "LlamaModel", id="class of another model"),
    pytest.param({"model_type": ["bert"]}, "model_type cannot be", id="model type a list"),
    pytest.param({"model_type": None}, "has no model_type", id="no model type"),
    pytest.param({"quantization_config": "int8"}, "quantization_config", id="quantization text"),
    pytest.param({"dtype": 16}, "dtype cannot be 16", id="dtype a number"),
    pytest.param({"dtype": "nonsense"}, "nonsense", id="dtype unknown"),
    pytest.param({"dtype": "int8"}, "no floating-point weights", id="dtype of integers"),
    pytest.param({"hidden_size": "abc"}, "hidden_size", id="width text"),
    pytest.param({"hidden_size": -1}, "negative dimension", id="width negative"),
    pytest.param({"hidden_size": 10**12}, "overflowed", id="width beyond memory"),
    pytest.param({"hidden_size": 256}, " tensors of another shape (", id="width of another model"),
    pytest.param({"num_attention_heads": 0}, "BertModel", id="no heads"),
    pytest.param({"num_attention_heads": 5}, "multiple of the number", id="heads do not divide"),
    pytest.param(
        {"num_hidden_layers": 3}, "16 tensors missing (encoder.layer.2", id="a layer too many"
    ),
    pytest.param({"vocab_size": 0}, "BertModel", id="no vocabulary"),
    pytest.param({"hidden_act": "nope"}, "nope", id="activation unknown"),
    pytest.param({"id2label": 3}, "BertModel", id="labels a number"),
]


@pytest.mark.parametrize("command", ["quantize", "size"])
@pytest.mark.parametrize(("changes", "says"), CONFIGS)
def test_configs(bert, fails, changes, says, command):
    path = bert / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    code, error, hint = fails(command, "bert")
    assert (code, says in error) == (3, True), error
    assert "--trust-remote-code" not in hint  # there is no code to trust


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\udcff", "[" * 100_000])
def test_configs_that_are_no_object(bert, fails, content):
    (bert / "config.json").write_bytes(content.encode(errors="surrogateescape"))
    code, error, _ = fails("size", "bert")
    assert (code, "config.json of bert is " in error) == (3, True)


@pytest.mark.parametrize(
    ("keep", "says"), [(0, "truncated"), (7, "truncated"), (-1, "1 bytes are missing")]
)
def test_files_that_end_early(bert, fails, keep, says):
    path = bert / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    code, error, hint = fails("quantize", "bert")
    assert (code, says in error, "download it again" in hint) == (3, True, True)


@pytest.mark.parametrize("weights", ["int2", "float8_e5m2", "float16"])
@pytest.mark.parametrize("shards", ["5GB", "100KB"])
@pytest.mark.parametrize("name", ["pooler.dense.bias", "encoder.layer.1.output.dense.weight"])
def test_one_bad_value_among_many(bert, fails, name, shards, weights):
    tensors = load_file(bert / "model.safetensors")
    tensors[name].view(-1)[-1] = float("nan")
    save_file(tensors, bert / "model.safetensors", metadata={"format": "pt"})
    code, error, _ = fails("quantize", "bert", "-w", weights, "--max-shard-size", shards)
    assert (code, error.startswith(f"error: {name}: weights are not finite (1 NaN")) == (3, True)


def test_a_range_that_overflows(bert, fails):
    name = "encoder.layer.1.output.dense.weight"
    tensors = {key: tensor.half() for key, tensor in load_file(bert / "model.safetensors").items()}
    tensors[name][5, 7], tensors[name][5, 8] = 60000, -60000
    save_file(tensors, bert / "model.safetensors", metadata={"format": "pt"})
    path = bert / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dtype": "float16"}))
    code, error, hint = fails("quantize", "bert", "-w", "int4")
    assert (code, name in error, "overflows float16" in error) == (3, True, True)
    assert "--exclude" in hint


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["bert", "-o", "bert", "--overwrite"], 2, "not a frozen", id="the model"),
        pytest.param(["bert", "-o", ".", "--overwrite"], 2, "not a frozen", id="here"),
        pytest.param(["bert", "-o", "/dev/null"], 2, "not a folder", id="a device"),
        pytest.param(["bert", "-o", "x" * 300], 4, "name too long", id="name too long"),
        pytest.param(["bert", "-o", "bert/config.json/out"], 2, "cannot create", id="in a file"),
        pytest.param(["bert/config.json"], 3, "is a file, not a folder", id="model a file"),
        pytest.param(["bert", "--revision", "main"], 2, "no revision main", id="revision"),
        pytest.param([""], 2, "must not be empty", id="no name"),
        pytest.param(["a b/c d"], 3, "nor a model name", id="no name of a model"),
        pytest.param(["../nope"], 3, "no such folder", id="no folder"),
        pytest.param([], 2, "missing argument: MODEL", id="no model"),
        pytest.param(["bert", "--include", "*", "--exclude", "*"], 2, "--include *", id="nothing"),
        pytest.param(["bert", "--jobs", "0"], 2, "--jobs: 0 is less than 1", id="no threads"),
        pytest.param(["bert", "-w", "float16", "--rest", "bfloat16"], 2, "contradicts", id="rest"),
        pytest.param(["bert", "--recipe", "bert"], 2, "unknown recipe: bert", id="no recipe"),
    ],
)
@pytest.mark.usefixtures("bert")
def test_arguments(fails, arguments, code, says):
    found, error, _ = fails("quantize", *arguments)
    assert (found, says in error) == (code, True), error


@pytest.mark.parametrize(
    ("words", "says", "hints"),
    [
        ("quantize m out1", "unexpected argument: out1", "use -o out1"),
        ("quantize m INT4", "unexpected argument: INT4", "use -w int4"),
        ("quantize m a b", "unexpected argument: a b", "takes one MODEL"),
        ("size a b", "unexpected argument: b", "takes one MODEL: run it once for each"),
        ("verify a b", "unexpected argument: b", "takes one DIR: run it once for each"),
        ("compare a b c", "unexpected argument: c", "takes two models: ORIGINAL QUANTIZED"),
        ("size", "missing argument: MODEL", "give a Hub id or a folder"),
        ("verify", "missing argument: DIR", "see quantcli verify --help"),
        ("quantise m", "no such command: quantise", "did you mean quantize?"),
        ("quantize m -w", "-w needs a value", "see quantcli quantize --help"),
        ("quantize m --overwrite=1", "--overwrite takes no value", "quantcli quantize --help"),
        ("quantize m --overwrte", "no such option: --overwrte", "did you mean --overwrite?"),
        ("quantize m --jobs x", "--jobs: x is not a whole number", "quantcli quantize --help"),
        ("compare a b --seed -1", "--seed: -1 is less than 0", "quantcli compare --help"),
        ("compare a b --min-cosine x", "--min-cosine: x is not a number", "--help"),
        ("--nope", "no such option: --nope", "see quantcli --help"),
    ],
)
def test_words_that_are_wrong(fails, words, says, hints):
    code, error, hint = fails(*words.split())
    assert (code, error, hints in hint) == (2, f"error: {says}", True), hint


@pytest.mark.parametrize("command", ["verify", "size"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "cannot read"),
        ("[]", "cannot read the format"),
        ('{"format_version": 99}', "cannot read the format"),
        ('{"format_version": 1}', "is damaged"),
        ('{"format_version": 1, "files": [], "footprint": 3}', "is damaged"),
    ],
)
def test_manifests(fails, tmp_path, command, content, says):
    (tmp_path / "frozen").mkdir()
    (tmp_path / "frozen" / "quantcli.json").write_text(content)
    code, error, _ = fails(command, "frozen")
    assert (code, says in error) == (3, True)


@pytest.mark.usefixtures("bert")
@pytest.mark.parametrize("name", ["bert", "bert/config.json", "nowhere"])
def test_what_is_no_frozen_directory_is_not_verified(fails, name):
    code, error, hint = fails("verify", name)
    assert (code, error) == (3, f"error: {name} is not a frozen directory: it has no quantcli.json")
    assert "quantcli quantize" in hint


@pytest.mark.usefixtures("bert")
def test_an_overwritten_link_leads_where_it_led(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    assert main(["quantize", "bert", "-o", "link", "--overwrite", "-q"]) == 0
    assert (tmp_path / "link").is_symlink()
    assert main(["verify", "elsewhere"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bert", "elsewhere", "link"]


@pytest.mark.usefixtures("bert")
def test_what_a_killed_run_left_is_no_obstacle(tmp_path):
    assert main(["quantize", "bert", "-o", "out", "-q"]) == 0
    shutil.copytree("out", ".out.replaced")
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "model.safetensors").write_text("of another plan")
    assert main(["quantize", "bert", "-o", "out", "--overwrite", "-q"]) == 0
    assert main(["verify", "out"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bert", "out"]


def test_side_files_that_are_odd(bert, tmp_path):
    (bert / "dangling.txt").symlink_to("nowhere")
    os.mkfifo(bert / "pipe.txt")
    (bert / "two\nlines.txt").write_text("x")
    (bert / os.fsdecode(b"\xff.txt")).write_text("x")
    assert main(["quantize", "bert", "-o", "out", "-q"]) == 0
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {
        ".json",
        ".md",
        ".safetensors",
        ".txt",
    }
    assert [path.name for path in (tmp_path / "out").glob("*.txt")] == ["two\nlines.txt"]
    assert main(["verify", "out"]) == 0


def test_a_frozen_directory_is_not_predicted_as_something_else(bert, capsys):
    assert main(["quantize", str(bert), "-o", "out", "-q"]) == 0
    assert main(["size", "out", "-w", "int8", "-w", "int4"]) == 0
    assert capsys.readouterr().err == "warning: out is already quantized: no prediction for int4\n"


@pytest.mark.usefixtures("bert")
def test_as_a_process():
    command = [sys.executable, "-m", "quantcli"]
    found = subprocess.run([*command, "quantize", "nowhere/at-all"], **CAPTURED)
    error, hint = found.stderr.splitlines()
    assert (found.returncode, found.stdout) == (3, "")
    assert_says(error, "error: offline", "nowhere/at-all")
    assert_says(hint, "hint:", "HF_HUB_OFFLINE")
    environment = os.environ | {"QUANTCLI_DEBUG": "1"}
    found = subprocess.run([*command, "size", "./nope"], **CAPTURED, env=environment)
    assert "Traceback" in found.stderr


def test_by_name_as_a_process(python, bert, tmp_path_factory):
    """huggingface_hub reads its variables as it is imported."""
    with Hub(tmp_path_factory.mktemp("hub")) as hub:

        def quantize(*words, offline=False):
            return python.run(QUANTCLI, "quantize", *words, environment=hub.env(offline=offline))

        hub.add_repo("org/gated", bert, gated=True)
        found = quantize("org/gated", "-q")
        assert (found.returncode, found.stdout) == (3, "")
        assert_says(found.stderr, "org/gated", "gated")
        hub.add_repo("org/bert", bert)
        assert quantize("org/bert", "-q").stdout == "bert-int8\n"
        hub.forget()
        found = quantize("org/bert", "-o", "again", "-q", offline=True)
        assert (found.returncode, found.stdout, hub.requests) == (0, "again\n", [])


@pytest.mark.usefixtures("bert")
def test_not_enough_memory(fails, monkeypatch):
    monkeypatch.setattr(run_module, "run_unit", lambda *_: torch.empty(10**15))
    code, error, hint = fails("quantize", "bert", "-q")
    assert (code, error, "--jobs" in hint) == (4, "error: not enough memory", True)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.usefixtures("bert")
def test_a_disk_that_fills_up_after_the_weights(fails, monkeypatch, number):
    def full(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(write, "model_card", full)
    code, error, hint = fails("quantize", "bert", "-q")
    assert (code, "-o" in hint) == (4, True)
    assert ("no space left" in error) == (number == errno.ENOSPC)
