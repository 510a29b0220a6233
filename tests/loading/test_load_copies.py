"""A frozen model is copied, counted and freed as any other."""

from __future__ import annotations

import copy
import gc
import weakref

import freezing
import pytest
import torch
import transformers
from quanto_reference import payload

import quantcli

WEIGHTS = ("int8", "int4", "int2", "float8", "float8_e5m2")


def tensors(model):
    """List all that a model computes with, a quantized weight as its parts."""
    waiting = [tensor.data for tensor in (*model.parameters(), *model.buffers())]
    found = []
    while waiting:
        tensor = waiting.pop()
        if hasattr(tensor, "__tensor_flatten__"):
            waiting += [getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]]
        else:
            found.append(tensor.data)
    return found


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", ["bert", "resnet"])
def test_deepcopy(frozen, kind, weights, dtype):
    model = quantcli.load(frozen(kind, weights, dtype))
    expected = freezing.run(model)
    copied = copy.deepcopy(model)
    for (name, one), (_, other) in zip(
        freezing.qmodules(model), freezing.qmodules(copied), strict=True
    ):
        assert type(one.weight) is type(other.weight), name
        assert one is not other
        assert one.weight is not other.weight
    pointers = {tensor.data_ptr() for tensor in tensors(model)}
    assert not pointers & {tensor.data_ptr() for tensor in tensors(copied)}
    for tensor in tensors(model):
        tensor.zero_()
    freezing.assert_same(freezing.run(copied), expected)


def test_the_config_of_a_loaded_model_loads_it_again(frozen, in_memory):
    directory = frozen("bert", "int4")
    config = quantcli.load(directory).config
    again = transformers.AutoModel.from_pretrained(directory, config=config)
    freezing.assert_same(freezing.run(again), freezing.run(in_memory("bert", "int4")))


def test_deepcopy_of_tied_weights(frozen):
    model = quantcli.load(frozen("llama-tied", "int8"))
    copied = copy.deepcopy(model)
    assert copied.lm_head.weight is copied.model.embed_tokens.weight
    assert copied.lm_head.weight is not model.lm_head.weight
    freezing.assert_same(freezing.run(copied), freezing.run(model))


def test_a_copy_can_be_cast_and_saved(frozen, tmp_path):
    model = quantcli.load(frozen("bert", "int4"))
    copied = copy.deepcopy(model).to(torch.bfloat16)
    copied.save_pretrained(tmp_path / "saved")
    freezing.assert_same(freezing.run(quantcli.load(tmp_path / "saved")), freezing.run(copied))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", ["bert", "resnet", "llama-tied", "vit"])
def test_memory_footprint(frozen, kind, weights, dtype):
    directory = frozen(kind, weights, dtype)
    model = quantcli.load(directory)
    stored = set(model.state_dict())
    computed = sum(buffer.nbytes for name, buffer in model.named_buffers() if name not in stored)
    assert model.get_memory_footprint() == payload(directory) + computed
    buffers = sum(buffer.nbytes for buffer in model.buffers())
    without = model.get_memory_footprint(return_buffers=False)
    assert without == model.get_memory_footprint() - buffers


def test_memory_footprint_of_a_part_and_of_others(tiny_model, frozen):
    model = quantcli.load(frozen("bert-classifier", "int8"))
    classifier = sum(tensor.nbytes for tensor in model.classifier.state_dict().values())
    assert model.bert.get_memory_footprint() == model.get_memory_footprint() - classifier
    original = freezing.load_original(tiny_model("bert"))
    tensors = [*original.parameters(), *original.buffers()]
    assert original.get_memory_footprint() == sum(tensor.nbytes for tensor in tensors)


def test_memory_is_freed_with_the_model(frozen):
    model = quantcli.load(frozen("bert", "int8"))
    freezing.run(model)
    gc.collect()
    gc.disable()
    try:
        seen = weakref.ref(model.encoder.layer[0].output.dense)
        del model
        assert seen() is None
    finally:
        gc.enable()


def test_devices_are_chosen_by_what_is_stored(frozen):
    """`device_map="auto"` asks the quantizer how large an element of each parameter is."""
    from accelerate import init_empty_weights
    from transformers.integrations.accelerate import compute_module_sizes

    model = quantcli.load(frozen("bert", "int4"))
    quantizer = model.hf_quantizer
    with init_empty_weights():
        empty = transformers.BertModel(model.config)
    from quantcli.loading.naming import Naming
    from quantcli.loading.placement import Placement

    placement = Placement(empty, Naming.of(empty, "BertModel"))
    placement.modules(model.config.quantization_config.modules)
    sizes, _ = compute_module_sizes(empty, quantizer)
    assert sizes[""] == pytest.approx(model.get_memory_footprint(), rel=1e-6)
