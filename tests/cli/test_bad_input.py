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
from messages import assert_says, assert_silent
from safetensors.torch import load_file, save_file

from quantcli.cli import main
from quantcli.execute import run as run_module
from quantcli.frozen import write

CAPTURED = {"capture_output": True, "text": True}


@pytest.fixture
def bert(tiny_model, tmp_path, monkeypatch):
    """Copy a tiny BERT that a test may break into the current folder."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(tiny_model("bert"), tmp_path / "bert")


CONFIGS = [
    pytest.param({"architectures": "BertModel"}, ("architectures", '"BertModel"'), id="quoted"),
    pytest.param({"architectures": [3]}, ("architectures", "[3]"), id="class a number"),
    pytest.param({"architectures": ["TFBertModel"]}, "TFBertModel", id="class of tensorflow"),
    pytest.param({"architectures": ["LlamaModel"]}, "LlamaModel", id="class of another model"),
    pytest.param({"model_type": ["bert"]}, ("model_type", '["bert"]'), id="model type a list"),
    pytest.param({"model_type": None}, "model_type", id="no model type"),
    pytest.param(
        {"quantization_config": "int8"}, ("quantization_config", '"int8"'), id="quantization text"
    ),
    pytest.param({"dtype": 16}, ("dtype", "16"), id="dtype a number"),
    pytest.param({"dtype": "nonsense"}, ("dtype", "nonsense"), id="dtype unknown"),
    pytest.param({"dtype": "int8"}, "torch.int8", id="dtype of integers"),
    pytest.param({"hidden_size": "abc"}, ("hidden_size", "'abc'"), id="width text"),
    pytest.param({"hidden_size": -1}, ("negative", "[99, -1]"), id="width negative"),
    pytest.param({"hidden_size": 10**12}, ("overflowed", f"{10**12}"), id="width beyond memory"),
    pytest.param(
        {"hidden_size": 256},
        ("37", "embeddings.word_embeddings.weight", "[99, 128]", "[99, 256]"),
        id="width of another model",
    ),
    pytest.param({"num_attention_heads": 0}, "BertModel", id="no heads"),
    pytest.param({"num_attention_heads": 5}, ("128", "5"), id="heads do not divide"),
    pytest.param(
        {"num_hidden_layers": 3},
        ("16", "missing", "encoder.layer.2.attention.self.query.weight", "13"),
        id="a layer too many",
    ),
    pytest.param({"vocab_size": 0}, "BertModel", id="no vocabulary"),
    pytest.param({"hidden_act": "nope"}, "nope", id="activation unknown"),
    pytest.param({"id2label": 3}, "BertModel", id="labels a number"),
]


@pytest.mark.parametrize("command", ["quantize", "size"])
@pytest.mark.parametrize(("changes", "facts"), CONFIGS)
def test_configs(bert, fails, changes, facts, command):
    path = bert / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    code, error, hint = fails(command, "bert")
    assert code == 3
    assert_says(error, facts)
    assert_silent(hint, "--trust-remote-code")  # there is no code to trust


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\udcff", "[" * 100_000])
def test_configs_that_are_no_object(bert, fails, content):
    (bert / "config.json").write_bytes(content.encode(errors="surrogateescape"))
    code, error, _ = fails("size", "bert")
    assert code == 3
    assert_says(error, "config.json", "bert")


@pytest.mark.parametrize(("keep", "missing"), [(0, "8"), (7, "1"), (-1, "1")])
def test_files_that_end_early(bert, fails, keep, missing):
    path = bert / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    code, error, hint = fails("quantize", "bert")
    assert code == 3
    assert_says(error, "model.safetensors", "truncated", missing)
    assert_says(hint, "download")


@pytest.mark.parametrize("weights", ["int2", "float8_e5m2", "float16"])
@pytest.mark.parametrize("shards", ["5GB", "100KB"])
@pytest.mark.parametrize("name", ["pooler.dense.bias", "encoder.layer.1.output.dense.weight"])
def test_one_bad_value_among_many(bert, fails, name, shards, weights):
    tensors = load_file(bert / "model.safetensors")
    tensors[name].view(-1)[-1] = float("nan")
    save_file(tensors, bert / "model.safetensors", metadata={"format": "pt"})
    code, error, _ = fails("quantize", "bert", "-w", weights, "--max-shard-size", shards)
    assert code == 3
    assert_says(error, name, "not finite", "1 NaN")


def test_a_range_that_overflows(bert, fails):
    name = "encoder.layer.1.output.dense.weight"
    tensors = {key: tensor.half() for key, tensor in load_file(bert / "model.safetensors").items()}
    tensors[name][5, 7], tensors[name][5, 8] = 60000, -60000
    save_file(tensors, bert / "model.safetensors", metadata={"format": "pt"})
    path = bert / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dtype": "float16"}))
    code, error, hint = fails("quantize", "bert", "-w", "int4")
    assert code == 3
    assert_says(error, name, "float16")
    assert_says(hint, "--exclude", "--rest bfloat16")


@pytest.mark.parametrize(
    ("arguments", "code", "facts"),
    [
        pytest.param(["bert", "-o", "bert", "--overwrite"], 2, ("bert", "frozen"), id="the model"),
        pytest.param(["bert", "-o", ".", "--overwrite"], 2, "frozen", id="here"),
        pytest.param(["bert", "-o", "/dev/null"], 2, ("/dev/null", "folder"), id="a device"),
        pytest.param(["bert", "-o", "x" * 300], 4, "name too long", id="name too long"),
        pytest.param(
            ["bert", "-o", "bert/config.json/out"], 2, "bert/config.json/out", id="in a file"
        ),
        pytest.param(["bert/config.json"], 3, ("bert/config.json", "file"), id="model a file"),
        pytest.param(["bert", "--revision", "main"], 2, ("bert", "main"), id="revision"),
        pytest.param([""], 2, ("model", "empty"), id="no name"),
        pytest.param(["a b/c d"], 3, "a b/c d", id="no name of a model"),
        pytest.param(["../nope"], 3, ("../nope", "folder"), id="no folder"),
        pytest.param([], 2, ("missing", "MODEL"), id="no model"),
        pytest.param(["bert", "--include", "*", "--exclude", "*"], 2, "--include *", id="nothing"),
        pytest.param(["bert", "--jobs", "0"], 2, ("--jobs", "0", "1"), id="no threads"),
        pytest.param(
            ["bert", "-w", "float16", "--rest", "bfloat16"], 2, ("bfloat16", "float16"), id="rest"
        ),
        pytest.param(["bert", "--recipe", "bert"], 2, ("recipe", "bert"), id="no recipe"),
    ],
)
@pytest.mark.usefixtures("bert")
def test_arguments(fails, arguments, code, facts):
    found, error, _ = fails("quantize", *arguments)
    assert found == code, error
    assert_says(error, facts)


@pytest.mark.parametrize(
    ("words", "facts", "hints"),
    [
        ("quantize m out1", "out1", "-o out1"),
        ("quantize m INT4", "INT4", "-w int4"),
        ("quantize m a b", "a b", "one MODEL"),
        ("size a b", "b", "one MODEL"),
        ("verify a b", "b", "one DIR"),
        ("compare a b c", "c", ("two", "ORIGINAL QUANTIZED")),
        ("size", ("missing", "MODEL"), ("Hub", "folder")),
        ("verify", ("missing", "DIR"), "quantcli verify --help"),
        ("quantise m", "quantise", "quantize"),
        ("quantize m -w", "-w", "quantcli quantize --help"),
        ("quantize m --overwrite=1", "--overwrite", "quantcli quantize --help"),
        ("quantize m --overwrte", "--overwrte", "--overwrite"),
        ("quantize m --jobs x", ("--jobs", "x", "number"), "quantcli quantize --help"),
        ("compare a b --seed -1", ("--seed", "-1", "0"), "quantcli compare --help"),
        ("compare a b --min-cosine x", ("--min-cosine", "x", "number"), "quantcli compare --help"),
        ("--nope", "--nope", "quantcli --help"),
    ],
)
def test_words_that_are_wrong(fails, words, facts, hints):
    code, error, hint = fails(*words.split())
    assert code == 2
    assert_says(error, facts)
    assert_says(hint, hints)


@pytest.mark.parametrize("command", ["verify", "size"])
@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("{", "line 1"),
        ("[]", "format"),
        ('{"format_version": 99}', "format"),
        ('{"format_version": 1}', "damaged"),
        ('{"format_version": 1, "files": [], "footprint": 3}', "damaged"),
    ],
)
def test_manifests(fails, tmp_path, command, content, fact):
    (tmp_path / "frozen").mkdir()
    (tmp_path / "frozen" / "quantcli.json").write_text(content)
    code, error, _ = fails(command, "frozen")
    assert code == 3
    assert_says(error, "frozen/quantcli.json", fact)


@pytest.mark.usefixtures("bert")
@pytest.mark.parametrize("name", ["bert", "bert/config.json", "nowhere"])
def test_what_is_no_frozen_directory_is_not_verified(fails, name):
    code, error, hint = fails("verify", name)
    assert code == 3
    assert_says(error, name, "frozen", "quantcli.json")
    assert_says(hint, "quantcli quantize")


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
    (warning,) = capsys.readouterr().err.splitlines()
    assert_says(warning, "warning: out", "quantized", "int4")
    assert_silent(warning, "int8")


@pytest.mark.usefixtures("bert")
def test_as_a_process():
    command = [sys.executable, "-m", "quantcli"]
    found = subprocess.run([*command, "quantize", "nowhere/at-all"], check=False, **CAPTURED)
    error, hint = found.stderr.splitlines()
    assert (found.returncode, found.stdout) == (3, "")
    assert_says(error, "error: offline", "nowhere/at-all")
    assert_says(hint, "hint:", "HF_HUB_OFFLINE")
    environment = os.environ | {"QUANTCLI_DEBUG": "1"}
    found = subprocess.run([*command, "size", "./nope"], check=False, env=environment, **CAPTURED)
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
    assert code == 4
    assert_says(error, "memory")
    assert_says(hint, "--jobs")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.usefixtures("bert")
def test_a_disk_that_fills_up_after_the_weights(fails, monkeypatch, number):
    def full(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(write, "model_card", full)
    code, error, hint = fails("quantize", "bert", "-q")
    assert code == 4
    assert_says(error, "bert-int8", "space" if number == errno.ENOSPC else os.strerror(number))
    assert_says(hint, "-o")
