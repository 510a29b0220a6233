"""Frozen pipelines turned back into ordinary ones."""

from __future__ import annotations

import json

import pytest
import tiny_pipelines
import torch
from safetensors.torch import load_file

import quantcli


def shapes(folder):
    found = {}
    for path in folder.rglob("*.safetensors"):
        for name, tensor in load_file(path).items():
            found[f"{path.parent.name}.{name}"] = tuple(tensor.shape)
    return found


def others(folder):
    """Return the files besides weights and model cards."""
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in files if "safetensors" not in name and name != "README.md")


@pytest.mark.parametrize("kind", [*tiny_pipelines.KINDS])
def test_a_pipeline(frozen_pipeline, pipeline_folder, tmp_path, kind):
    original = pipeline_folder(kind)
    frozen = frozen_pipeline(kind).output
    folder = quantcli.dequantize(frozen, output=tmp_path / "plain").output
    assert shapes(folder) == shapes(original)
    assert others(folder) == others(original)
    for path in folder.rglob("config.json"):
        assert "quantization_config" not in path.read_text()
    plain, loaded = tiny_pipelines.load(folder), quantcli.load(frozen)
    for name, model in plain.components.items():
        if not isinstance(model, torch.nn.Module):
            continue
        state = getattr(loaded, name).state_dict()
        for key, tensor in model.state_dict().items():
            if f"{key}._scale" not in state and key in state:
                assert torch.equal(tensor, state[key]), key
            elif f"{key}._data" in state:
                data, scale = state[f"{key}._data"], state[f"{key}._scale"]
                assert torch.equal(tensor, (scale * data).reshape(tensor.shape)), key


def test_one_component(frozen_pipeline, pipeline_folder, tmp_path):
    (kind, *_) = tiny_pipelines.KINDS
    frozen = frozen_pipeline(kind).output
    name = next(
        each.parent.name
        for each in frozen.glob("*/diffusion_pytorch_model.safetensors")
        if (each.parent / "quantcli.json").exists()
    )
    folder = quantcli.dequantize(
        frozen / name, output=tmp_path / "plain", dtype="bfloat16", max_shard_size=100_000
    ).output
    index = json.loads((folder / "diffusion_pytorch_model.safetensors.index.json").read_text())
    assert {*index["weight_map"]} == {
        *load_file(pipeline_folder(kind) / name / "diffusion_pytorch_model.safetensors")
    }
