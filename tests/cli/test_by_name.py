"""A model by name: predicted from its headers, quantized, and the same as from a folder."""

from __future__ import annotations

import json
import shutil

import pytest
from hub import Hub
from messages import assert_says
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.cli import main
from quantcli.formats import WEIGHTS

UNTIED = "lm_head.weight"


@pytest.fixture
def hub(tmp_path_factory):
    with Hub(tmp_path_factory.mktemp("hub")) as hub, hub.in_process():
        yield hub


@pytest.mark.parametrize("kind", ["llama-tied", "mixtral", "t5-untied"])
def test_predictions_are_those_of_the_folder(hub, tiny_model, kind):
    folder = tiny_model(kind)
    hub.add_repo("org/model", folder)
    found, expected = quantcli.size("org/model"), quantcli.size(folder)
    assert [row.weights for row in found.predictions] == list(WEIGHTS)
    assert found.predictions == expected.predictions
    assert (found.original_bytes, found.parameters) == (
        expected.original_bytes,
        expected.parameters,
    )


def test_quantized_as_from_the_folder(hub, tiny_model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tiny_model("t5-untied", max_shard_size="500KB")
    commit = hub.add_repo("org/t5", folder, revision="v1")
    assert main(["quantize", "org/t5@v1", "-w", "int4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["revision"], found["output"]) == ("org/t5", commit, "t5-int4")
    expected = quantcli.quantize(folder, weights="int4", output="folder").output
    weights = "model.safetensors"
    assert (tmp_path / "t5-int4" / weights).read_bytes() == (expected / weights).read_bytes()
    manifest = json.loads((tmp_path / "t5-int4" / "quantcli.json").read_text())
    assert manifest["source"] == {"model": "org/t5", "revision": commit}
    card = (tmp_path / "t5-int4" / "README.md").read_text()
    assert "\nbase_model: org/t5\n" in card
    assert f"`org/t5` at revision `{commit}`" in card


def test_the_revision_is_that_of_the_original(hub, tiny_model, freeze, capsys):
    folder = tiny_model("bert")
    commit = hub.add_repo("org/bert", folder, revision="v1")
    frozen = str(freeze(folder, "int8"))
    options = ["--revision", "v1", "--samples", "2", "--json"]
    assert main(["compare", "org/bert", frozen, *options]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    assert (models["original"]["revision"], models["quantized"]["revision"]) == (commit, None)
    assert main(["compare", str(folder), frozen, *options]) == 2
    assert_says(capsys.readouterr().err, str(folder), "revision", "v1")


def test_a_dry_run_downloads_no_weights(hub, tiny_model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    hub.add_repo("org/mixtral", tiny_model("mixtral"))
    assert main(["quantize", "org/mixtral", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["bytes"] == quantcli.plan(tiny_model("mixtral")).nbytes
    assert hub.bytes_sent < plan["original_bytes"] / 4
    assert not list(tmp_path.iterdir())


def test_what_samples_cannot_tell_apart_is_told_apart_once_it_is_here(hub, tiny_model, tmp_path):
    """By name a head is compared with its embedding at a few places, and then everywhere."""
    folder = shutil.copytree(tiny_model("t5-tied"), tmp_path / "t5")
    tensors = load_file(folder / "model.safetensors")
    head = tensors["shared.weight"].clone()
    head.view(-1)[5000] += 1
    save_file(tensors | {UNTIED: head}, folder / "model.safetensors", metadata={"format": "pt"})
    hub.add_repo("org/t5", folder)
    assert quantcli.plan("org/t5").untied == ()
    frozen = quantcli.quantize("org/t5", output=tmp_path / "out")
    assert frozen.plan.untied == (UNTIED,)
    assert frozen.plan.nbytes == quantcli.plan(folder).nbytes
    assert quantcli.load(frozen).lm_head.weight is not quantcli.load(frozen).shared.weight
