"""Layers and dtypes that the tiny models lack: depthwise, a head of one label, mixtures."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import transformers
from freezing import QTYPES
from quanto_reference import check, reference, stored
from rare_models import one_label
from safetensors.torch import load_file, save_file

import quantcli

CONV = transformers.ConvNextConfig(
    hidden_sizes=[32, 64, 96, 160], depths=[1, 1, 1, 1], image_size=32, num_labels=1
)
MODELS = {
    "depthwise": lambda: transformers.ConvNextForImageClassification(CONV),
    "one label": one_label,
}


@pytest.fixture(scope="module", params=MODELS)
def rare(request, tmp_path_factory):
    """Save a model of the table in float32 and bfloat16."""
    torch.manual_seed(0)
    model = MODELS[request.param]()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    folders = {}
    for dtype in ("float32", "bfloat16"):
        folders[dtype] = tmp_path_factory.mktemp("rare")
        model.to(getattr(torch, dtype)).eval().save_pretrained(folders[dtype])
    return folders


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("weights", list(QTYPES))
def test_equals_quanto(rare, tmp_path, weights, dtype):
    frozen = quantcli.quantize(rare[dtype], weights=weights, output=tmp_path / "out")
    assert frozen.plan.quantized
    check(frozen, rare[dtype], QTYPES[weights])


def edited(folder, target, change, **config):
    shutil.copytree(folder, target)
    tensors = {
        name: change(name, tensor)
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    path = target / "config.json"
    data = json.loads(path.read_text()) | config
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    return target


DTYPES = [
    pytest.param(lambda _, t: t, {"dtype": "float16"}, "float16", id="config says float16"),
    pytest.param(lambda _, t: t.half(), {"dtype": None}, "float16", id="config says nothing"),
    pytest.param(
        lambda _, t: t, {"dtype": None, "torch_dtype": "bfloat16"}, "bfloat16", id="old key"
    ),
    pytest.param(
        lambda name, t: t.bfloat16() if "layer.1" in name else t.half(),
        {"dtype": "float32"},
        "float32",
        id="mixture",
    ),
    pytest.param(lambda _, t: t.double(), {"dtype": "float64"}, "float64", id="double"),
]


@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
@pytest.mark.parametrize(("change", "config", "dtype"), DTYPES)
def test_dtypes_of_checkpoints(tiny_model, tmp_path, weights, change, config, dtype):
    folder = edited(tiny_model("bert"), tmp_path / "model", change, **config)
    frozen = quantcli.quantize(folder, weights=weights, output=tmp_path / "out")
    assert frozen.plan.dtype == dtype
    check(frozen, folder, QTYPES[weights])
    (row,) = quantcli.size(folder, weights=[weights]).predictions
    assert row.bytes == sum(tensor.nbytes for tensor in stored(frozen.output).values())
    assert quantcli.load(frozen).dtype == getattr(torch, dtype)


def test_only_what_is_included_is_quantized(tiny_model, tmp_path):
    folder = tiny_model("clip")
    frozen = quantcli.quantize(
        folder, include=("text_model.*",), exclude=("*.fc1",), output=tmp_path / "out"
    )
    expected, before = reference(folder, "qint8")
    found = stored(frozen.output)
    quantized = {tensor.module for tensor in frozen.plan.quantized}
    assert all(name.startswith("text_model.") and "fc1" not in name for name in quantized)
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name] if name in expected else before[name]), name
    kept = {tensor.name for tensor in frozen.plan.kept_matrices()}
    assert "vision_model.encoder.layers.0.mlp.fc2.weight" in kept
