"""A loaded model computes what the model that was frozen in memory computes, bit for bit."""

from __future__ import annotations

import freezing
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

import quantcli

WEIGHTS = ("int8", "int4", "int2", "float8", "float8_e5m2")
DTYPES = ("float32", "float16", "bfloat16")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", ["bert-classifier", "vit"])
def test_every_dtype(frozen, kind, weights, dtype):
    directory, model = frozen(kind, weights, dtype)
    loaded = quantcli.load(directory)
    assert not loaded.training
    assert loaded.dtype == getattr(torch, dtype)
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("kind", sorted({*tiny.KINDS} - {"bert-classifier", "vit"}))
def test_every_kind(frozen, kind, weights):
    directory, model = frozen(kind, weights)
    loaded = quantcli.load(directory)
    assert type(loaded) is type(model)
    freezing.assert_same(freezing.run(loaded), freezing.run(model))
    freezing.assert_same(loaded.state_dict(), model.state_dict())


@pytest.mark.parametrize("shards", [2, 5])
def test_shards(frozen, tmp_path, shards):
    _, model = frozen("llama-tied", "int4")
    directory = freezing.write_frozen(model, tmp_path, "int4", shards=shards)
    freezing.assert_same(freezing.run(quantcli.load(directory)), freezing.run(model))


def test_group_size_of_our_own(tiny_model, tmp_path):
    model = freezing.load_original(tiny_model("vit"))
    freezing.freeze_plainly(model, "int4", group_size=32)
    directory = freezing.write_frozen(model, tmp_path, "int4")
    loaded = quantcli.load(directory)
    assert {freezing.group_sizes(loaded)[name] for name in freezing.group_sizes(model)} == {32}
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


def test_same_kernel_as_in_memory(frozen):
    directory, model = frozen("bert", "int4", "bfloat16")
    loaded = quantcli.load(directory)
    kinds = {name: type(module.weight) for name, module in freezing.qmodules(model)}
    assert {name: type(module.weight) for name, module in freezing.qmodules(loaded)} == kinds
    assert "TinyGemmWeightQBitsTensor" in {kind.__name__ for kind in kinds.values()}


def test_rows_that_tinygemm_refuses():
    """Plain Quanto cannot freeze these in memory (`expect N to be dividable by 16`)."""
    from optimum.quanto import MaxOptimizer, qint4, quantize_weight

    from quantcli.kinds.registry import freeze
    from quantcli.kinds.weights import assemble

    linear = torch.nn.Linear(256, 24, dtype=torch.bfloat16)
    scale, shift = MaxOptimizer()(linear.weight, qtype=qint4, axis=0, group_size=128)
    weight = quantize_weight(linear.weight, qint4, 0, scale, shift, group_size=128, optimized=False)
    parts = {}
    weight.save_to_state_dict(parts, "", keep_vars=False)
    module = freeze(linear, "qint4", 128)
    module.weight = assemble(module, parts)
    module.bias = linear.bias
    example = torch.randn(3, 256, dtype=torch.bfloat16)
    expected = example @ weight.dequantize().t() + linear.bias
    with torch.no_grad():
        assert torch.equal(module(example), expected)


def test_unaligned_file_does_not_crash(frozen, tmp_path):
    """torch's bfloat16 x int8 kernel loads with aligned instructions."""
    directory, model = frozen("bert", "int8", "bfloat16")
    copied = freezing.write_frozen(model, tmp_path, "int8")
    tensors = load_file(directory / "model.safetensors")
    odd = {"encoder.layer.0.attention.self.query.bias": torch.ones(128, dtype=torch.bfloat16)}
    save_file({**tensors, **odd}, copied / "model.safetensors", metadata={"format": "pt", "x": "y"})
    loaded = quantcli.load(copied)
    assert all(module.weight._data.data_ptr() % 16 == 0 for _, module in freezing.qmodules(loaded))
    freezing.run(loaded)


@pytest.mark.parametrize("columns", [16, 20, 33, 100])
def test_columns_that_crash_torch(columns):
    """Quanto's in-memory int8 x bfloat16 ends the process for 20 and 100 columns."""
    from optimum.quanto import AbsmaxOptimizer, qint8, quantize_weight

    from quantcli.kinds.registry import freeze
    from quantcli.kinds.weights import assemble

    linear = torch.nn.Linear(columns, 24, dtype=torch.bfloat16)
    scale = AbsmaxOptimizer()(linear.weight, qtype=qint8, axis=0)
    weight = quantize_weight(linear.weight, qint8, 0, scale)
    module = freeze(linear, "qint8", None)
    module.weight = assemble(module, {"_data": weight._data, "_scale": weight._scale})
    module.bias = linear.bias
    example = torch.randn(3, columns, dtype=torch.bfloat16)
    expected = example.float() @ weight.dequantize().float().t() + linear.bias
    with torch.no_grad():
        assert torch.allclose(module(example).float(), expected, atol=0.05)


def test_tensors_stay_in_the_file(frozen):
    directory, _ = frozen("bert", "int8")
    loaded = quantcli.load(directory)
    pointers = {int(module.weight._data.data_ptr()) for _, module in freezing.qmodules(loaded)}
    spans = freezing.mapped_spans(directory / "model.safetensors")
    assert all(any(start <= pointer < end for start, end in spans) for pointer in pointers)


def test_modules_are_quantos(frozen):
    from optimum.quanto import QConv2d, QLinear

    directory, model = frozen("clip", "int8")
    loaded = quantcli.load(directory)
    kinds = {name: type(module) for name, module in freezing.qmodules(model)}
    for name, module in freezing.qmodules(loaded):
        assert issubclass(kinds[name], QLinear | QConv2d)
        assert isinstance(module, kinds[name])
        assert module.frozen
        assert not module.weight.requires_grad
