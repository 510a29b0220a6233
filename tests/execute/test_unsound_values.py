"""Values that are not finite, wherever they hide: refused by name, and nothing is left behind."""

from __future__ import annotations

import shutil

import pytest
import torch
from messages import refuses
from safetensors.torch import load_file, save_file

import quantcli
from quantcli import ModelError

PLACES = [
    pytest.param(
        "mixtral",
        "model.layers.1.block_sparse_moe.experts.2.w1.weight",
        "model.layers.1.mlp.experts.gate_up_proj",
        {},
        id="merged",
    ),
    pytest.param("resnet", "resnet.embedder.embedder.convolution.weight", None, {}, id="conv"),
    pytest.param("bert", "encoder.layer.0.attention.output.LayerNorm.bias", None, {}, id="vector"),
    pytest.param(
        "bert",
        "pooler.dense.weight",
        None,
        {"weights": "int4", "optimizer": "hqq"},
        id="whole",
    ),
    pytest.param("gpt2", "transformer.h.1.mlp.c_fc.weight", None, {}, id="kept"),
    pytest.param("t5-untied", "lm_head.weight", None, {"weights": "int2"}, id="odd rows"),
    pytest.param("bert", "pooler.dense.weight", None, {"rest": "float16"}, id="cast"),
    pytest.param("bert", "pooler.dense.weight", None, {"exclude": ("pooler.*",)}, id="excluded"),
]


def spoilt(folder, target, name, value):
    shutil.copytree(folder, target)
    tensors = load_file(folder / "model.safetensors")
    assert name in tensors, sorted(tensors)
    tensors[name].view(-1)[-1] = value
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")], ids=str)
@pytest.mark.parametrize(("kind", "stored", "parameter", "options"), PLACES)
def test_refused(tiny_model, tmp_path, kind, stored, parameter, options, value):
    folder = spoilt(tiny_model(kind), tmp_path / "model", stored, value)
    with refuses(ModelError, parameter or stored, "not finite", "1 NaN"):
        quantcli.quantize(folder, allow_unquantized=True, output=tmp_path / "out", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
def test_refused_in_half(tiny_model, tmp_path, weights, dtype):
    name = "encoder.layer.1.intermediate.dense.weight"
    folder = spoilt(tiny_model("bert", dtype), tmp_path / "model", name, float("nan"))
    with refuses(ModelError, name, "not finite"):
        quantcli.quantize(folder, weights=weights, output=tmp_path / "out")


def test_the_largest_values_are_finite(tiny_model, tmp_path):
    name = "pooler.dense.weight"
    value = torch.finfo(torch.float32).max
    folder = spoilt(tiny_model("bert"), tmp_path / "model", name, value)
    frozen = quantcli.quantize(folder, output=tmp_path / "out")
    found = load_file(frozen.output / "model.safetensors")
    assert found[f"{name}._data"].view(-1)[-1] == 127
    assert found[f"{name}._scale"].isfinite().all()


@pytest.mark.parametrize("when", ["before the run", "as it begins"])
def test_weights_that_went_away(tiny_model, tmp_path, when, monkeypatch):
    folder = shutil.copytree(tiny_model("bert"), tmp_path / "model")
    remove = (folder / "model.safetensors").unlink
    if when == "as it begins":
        from quantcli.execute.reading import Readers

        prepare = Readers.prepare
        monkeypatch.setattr(Readers, "prepare", lambda readers: (remove(), prepare(readers)))
    from quantcli.api import make_request, quantize_request

    with refuses(ModelError, str(folder / "model.safetensors")):
        quantize_request(
            make_request(folder),
            output=tmp_path / "out",
            on_plan=None if when == "as it begins" else lambda _: remove(),
        )
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
