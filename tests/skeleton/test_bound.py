"""Configs that ask for what no checkpoint holds: an error at once, and in little memory."""

from __future__ import annotations

import json
import resource
import shutil
import time

import pytest
import torch
from messages import assert_says, refuses

from quantcli.cli import main
from quantcli.errors import ModelError
from quantcli.skeleton import bounded

HUGE = 2**31

CONFIGS = [
    pytest.param("bert", "num_hidden_layers", HUGE, ("2,147,483,648", "39"), id="layers"),
    pytest.param("bert", "num_labels", HUGE, ("2,147,483,648", "39"), id="labels"),
    pytest.param("gpt2", "n_layer", HUGE, ("2,147,483,648", "28"), id="gpt2"),
    pytest.param("t5-tied", "num_decoder_layers", HUGE, ("2,147,483,648", "51"), id="decoder"),
    pytest.param("resnet", "depths", [1, HUGE], ("2,147,483,648", "56"), id="depths"),
    pytest.param("mixtral", "num_hidden_layers", 1e9, "41", id="a float"),
    pytest.param(
        "clip", "vision_config.num_hidden_layers", HUGE, ("2,147,483,648", "78"), id="tower"
    ),
]
"""Kind, key of its config, value, and what is said beside the key: the value, and how many tensors
the checkpoint has."""


@pytest.fixture
def changed(tiny_model, tmp_path):
    """Copy a checkpoint with one key of its config changed."""

    def change(kind, key, value):
        folder = shutil.copytree(tiny_model(kind), tmp_path / "model")
        config = json.loads((folder / "config.json").read_text())
        *parts, last = key.split(".")
        part = config
        for name in parts:
            part = part[name]
        part[last] = value
        if last == "num_labels":
            config.pop("id2label", None)
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return change


@pytest.mark.parametrize(("kind", "key", "value", "facts"), CONFIGS)
def test_configs(changed, capsys, kind, key, value, facts):
    assert_refused(changed(kind, key, value), capsys, key, facts)


def test_more_layers_than_the_tensors_allow(changed, capsys):
    folder = changed("bert", "num_hidden_layers", 2000)
    assert_refused(folder, capsys, "2,360 modules", "39")


def assert_refused(folder, capsys, *facts):
    """Assert that both commands refuse a checkpoint, in little time and memory."""
    capsys.readouterr()  # making the model shows progress
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for command in (["size"], ["quantize", "-o", str(folder / "out")]):
        assert main([*command, str(folder)]) == 3
        error, hint = capsys.readouterr().err.splitlines()
        assert_says(error, "error:", "config.json", str(folder))
        for fact in facts:
            assert_says(error, fact)
        assert_says(hint, "hint:", "config.json")
    assert time.monotonic() - began < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB


@pytest.mark.parametrize("key", ["hidden_size", "vocab_size", "max_position_embeddings"])
def test_huge_tensors_cost_nothing(changed, capsys, key):
    folder = changed("bert", key, HUGE)
    capsys.readouterr()
    assert main(["size", str(folder)]) == 3
    error, *_ = capsys.readouterr().err.splitlines()
    assert_says(error, "error:", f"{HUGE}")


def test_a_convolution_of_another_size_is_not_tried(changed, capsys):
    assert main(["size", str(changed("bit", "embedding_size", HUGE))]) == 3
    assert_says(capsys.readouterr().err, "embedder.convolution.weight", f"[{HUGE}, 3, 7, 7]")


def build(count):
    return torch.nn.ModuleList(torch.nn.Linear(1, 1, device="meta") for _ in range(count))


def test_modules_without_parameters_count():
    with refuses(ModelError, "m", "modules"), bounded({}, tensors=1, model="m"):
        torch.nn.ModuleList(torch.nn.ReLU() for _ in range(10_000))


def test_the_count_ends_with_the_block():
    with bounded({}, tensors=100, model="m"):
        build(500)
    build(5000)  # is nobody's business any more
    with refuses(ModelError, "m", "parameters"), bounded({}, tensors=1, model="m"):
        build(5000)
    build(5000)


def test_more_tensors_allow_more():
    with bounded({"num_layers": 5000}, tensors=10_000, model="m"):
        build(5000)
