"""Inference mode, gradients, other dtypes and devices."""

from __future__ import annotations

import freezing
import pytest
import torch

import quantcli

WEIGHTS = ("int8", "int4", "int2", "float8", "float8_e5m2")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", ["bert", "resnet"])
def test_inference_mode_leaves_the_model_as_it_was(frozen, kind, weights, dtype):
    loaded = quantcli.load(frozen(kind, weights, dtype))
    with torch.inference_mode():
        inside = loaded(**freezing.inputs(loaded))
    plain = loaded(**freezing.inputs(loaded))
    assert torch.equal(inside[0], plain[0])


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_loaded_inside_inference_mode(frozen, in_memory, weights):
    with torch.inference_mode():
        loaded = quantcli.load(frozen("bert", weights))
        output = loaded(**freezing.inputs(loaded))
    expected = freezing.run(in_memory("bert", weights))
    assert torch.equal(output[0], expected["last_hidden_state"])


@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
def test_gradients_of_inputs_as_quantos(frozen, in_memory, weights):
    gradients = []
    for each in (quantcli.load(frozen("bert", weights)), in_memory("bert", weights)):
        torch.manual_seed(0)
        embedded = torch.randn(2, 5, 128, requires_grad=True)
        each(inputs_embeds=embedded).last_hidden_state.square().sum().backward()
        gradients.append(embedded.grad)
    assert torch.equal(gradients[0], gradients[1])


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("asked", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("stored", ["float32", "bfloat16"])
def test_another_dtype(frozen, in_memory, weights, stored, asked):
    directory = frozen("vit", weights, stored)
    expected = freezing.run(in_memory("vit", weights, stored))["logits"].float()
    loaded = quantcli.load(directory, dtype=getattr(torch, asked))
    cast = quantcli.load(directory).to(getattr(torch, asked))
    assert {each.dtype for each in loaded.parameters()} == {loaded.dtype}
    ours = freezing.run(loaded)["logits"]
    assert ours.dtype is loaded.dtype is cast.dtype is getattr(torch, asked)
    assert torch.allclose(ours.float(), expected, atol=0.1)
    assert torch.equal(freezing.run(cast)["logits"], ours)


def test_same_dtype_changes_nothing(frozen, in_memory):
    loaded = quantcli.load(frozen("bert", "int4", "bfloat16"), dtype="bfloat16")
    before = [module.weight for _, module in freezing.qmodules(loaded)]
    loaded.to("cpu").to(torch.bfloat16)
    after = [module.weight for _, module in freezing.qmodules(loaded)]
    assert all(one is other for one, other in zip(before, after, strict=True))
    expected = freezing.run(in_memory("bert", "int4", "bfloat16"))
    freezing.assert_same(freezing.run(loaded), expected)


@pytest.mark.parametrize("device_map", ["cpu", "auto", {"": "cpu"}], ids=str)
def test_device_map(frozen, in_memory, device_map):
    loaded = quantcli.load(frozen("llama-tied", "int4"), device_map=device_map)
    assert loaded.device == torch.device("cpu")
    expected = freezing.run(in_memory("llama-tied", "int4"))
    freezing.assert_same(freezing.run(loaded), expected)


def test_half_is_refused(frozen):
    with pytest.raises(ValueError, match="not supported for quantized"):
        quantcli.load(frozen("bert", "int8")).half()


def test_what_the_quantizer_says(frozen):
    quantizer = quantcli.load(frozen("bert", "int8")).hf_quantizer
    assert quantizer.is_serializable()
    assert not quantizer.is_trainable
    assert not quantizer.is_compileable
