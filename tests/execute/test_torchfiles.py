"""A checkpoint in PyTorch's own format gives the same bytes as its safetensors twin."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

import quantcli


def twin(folder, target, shards):
    """Copy a safetensors checkpoint as pytorch_model.bin files."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.safetensors*"))
    tensors = load_file(folder / "model.safetensors")
    if shards == 1:
        torch.save(tensors, target / "pytorch_model.bin")
        return target
    places = {}
    for index in range(shards):
        file = f"pytorch_model-{index + 1:05}-of-{shards:05}.bin"
        part = dict(list(tensors.items())[index::shards])
        torch.save(part, target / file)
        places |= dict.fromkeys(part, file)
    text = json.dumps({"metadata": {}, "weight_map": places})
    (target / "pytorch_model.bin.index.json").write_text(text)
    return target


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("kind", ["bert", "mixtral"])
def test_same_bytes(tiny_model, tmp_path, kind, shards):
    folder = tiny_model(kind)
    other = twin(folder, tmp_path / "twin", shards)
    one = quantcli.quantize(folder, weights="int4", output=tmp_path / "one")
    two = quantcli.quantize(other, weights="int4", output=tmp_path / "two")
    name = "model.safetensors"
    assert (one.output / name).read_bytes() == (two.output / name).read_bytes()
    assert not list(two.output.glob("*.bin"))


def test_storage_that_two_names_share_is_a_tie(tiny_model, tmp_path):
    folder = tiny_model("llama-tied")
    other = shutil.copytree(
        folder, tmp_path / "twin", ignore=shutil.ignore_patterns("*.safetensors*")
    )
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    torch.save(tensors, other / "pytorch_model.bin")
    found, expected = quantcli.plan(other), quantcli.plan(folder)
    assert found.original_bytes == expected.original_bytes
    assert found.nbytes == expected.nbytes
    assert {t.name: t.action for t in found.tensors}["lm_head.weight"] == "alias"


def test_strided_and_legacy_tensors(tiny_model, tmp_path):
    folder = tiny_model("bert")
    other = shutil.copytree(
        folder, tmp_path / "twin", ignore=shutil.ignore_patterns("*.safetensors*")
    )
    tensors = load_file(folder / "model.safetensors")
    tensors = {
        name: tensor.t().contiguous().t() if tensor.ndim == 2 else tensor
        for name, tensor in tensors.items()
    }
    expected = quantcli.quantize(folder, output=tmp_path / "one").output / "model.safetensors"
    for label, zipped in (("zip", True), ("legacy", False)):
        torch.save(tensors, other / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
        found = quantcli.quantize(other, output=tmp_path / label).output / "model.safetensors"
        assert found.read_bytes() == expected.read_bytes()
