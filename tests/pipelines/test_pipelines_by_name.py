"""A pipeline by name: only what it needs is downloaded."""

from __future__ import annotations

import json

import pytest
from hub import Hub
from quanto_reference import same, stored
from tiny_pipelines import COMPONENTS

import quantcli
from quantcli.cli import main

UNUSED = (
    "v1-5-pruned.ckpt",
    "v1-5-pruned.safetensors",
    "onnx/model.onnx",
    "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_flax_model.msgpack",
    "text_encoder/pytorch_model.bin",
    "text_encoder/model.fp16.safetensors",
    "vae_1_0/diffusion_pytorch_model.safetensors",
)
"""Files that repos of pipelines have besides."""


@pytest.fixture
def hub(tmp_path_factory):
    with Hub(tmp_path_factory.mktemp("hub")) as hub, hub.in_process():
        yield hub


@pytest.fixture
def repo(pipeline_folder, own_copy):
    """Return the folder of a repo with files that nobody should download."""
    folder = own_copy(pipeline_folder("sd"), "repo")
    for name in UNUSED:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x" * 100_000)
    (folder / "LICENSE.md").write_text("free")
    return folder


def fetched(hub):
    """Return the files of which anything was downloaded."""
    sent = (request for request in hub.requests if request.method == "GET" and request.sent)
    parts = (request.path.partition("/resolve/")[2] for request in sent)
    return {part.partition("/")[2] for part in parts if part}


def test_size_reads_headers_only(hub, repo, pipeline_folder):
    hub.add_repo("org/pipe", repo)
    found, expected = quantcli.size("org/pipe"), quantcli.size(pipeline_folder("sd"))
    assert found.predictions == expected.predictions
    assert fetched(hub).isdisjoint(UNUSED)
    # a file that is shorter than the first guess at a header is read whole
    assert hub.bytes_sent < found.original_bytes / 4


def test_only_what_is_needed_is_downloaded(
    hub, repo, frozen_pipeline, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    commit = hub.add_repo("org/pipe", repo, revision="v1")
    assert main(["quantize", "org/pipe@v1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["revision"]) == ("org/pipe", commit)
    assert fetched(hub).isdisjoint(UNUSED)
    output = tmp_path / "pipe-int8"
    for name in COMPONENTS["sd"]:
        expected = stored(frozen_pipeline("sd").output / name)
        assert all(same(t, expected[key]) for key, t in stored(output / name).items())
    assert (output / "LICENSE.md").read_text() == "free"
    assert not any((output / name).exists() for name in UNUSED)
    card = (output / "README.md").read_text()
    assert "\nbase_model: org/pipe\n" in card
    assert f"`org/pipe` at revision `{commit}`" in card
    assert quantcli.load(output, verify=True).unet.dtype is not None


def test_once_it_is_here_no_network_is_needed(hub, repo, tmp_path):
    hub.add_repo("org/pipe", repo)
    quantcli.quantize("org/pipe", output=tmp_path / "one")
    with hub.in_process(offline=True):
        hub.forget()
        quantcli.quantize("org/pipe", output=tmp_path / "two")
    assert not hub.requests
    one, two = (
        json.loads((tmp_path / name / "quantcli.json").read_text())["files"]
        for name in ("one", "two")
    )
    assert one == two


def test_a_frozen_pipeline_by_name_is_compared(hub, pipeline_folder, frozen_pipeline, capsys):
    commit = hub.add_repo("org/dit", pipeline_folder("dit"), revision="v1")
    hub.add_repo("org/dit-int8", frozen_pipeline("dit").output)
    command = ["compare", "org/dit", "org/dit-int8", "--revision", "v1", "--samples", "1", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    models = found["models"]
    assert (models["original"]["model"], models["original"]["revision"]) == ("org/dit", commit)
    assert (models["quantized"]["model"], models["quantized"]["weights"]) == (
        "org/dit-int8",
        "int8",
    )
    assert found["metrics"]["bytes_quantized"] == frozen_pipeline("dit").plan.nbytes
