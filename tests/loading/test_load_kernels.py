"""Loaded models with other kernels than Quanto's: what they compute, and that they stay models."""

from __future__ import annotations

import copy
import functools
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from messages import refuses
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

import quantcli
from quantcli.errors import UsageError
from quantcli.kernels import QUANTO, Runtime
from quantcli.kernels.machine import costs, has_int8_products
from quantcli.kernels.packed import PackedWeight
from quantcli.loading.runtime import runtime_of

pytestmark = pytest.mark.skipif(costs() is None, reason="no kernels are known for this CPU")

IDS = torch.arange(3, 43)[None]

needs_vnni = pytest.mark.skipif(not has_int8_products(), reason="this CPU has no AVX-512 VNNI")


def logits(model, ids=IDS):
    with torch.no_grad():
        return model(ids).logits.float()


def error(found, expected):
    return float((found - expected).norm() / expected.norm())


def cast(model, dtype):
    """Cast a model, which transformers refuses for quantized ones."""
    return nn.Module.to(model, dtype)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, freeze):
    """Freezes a model whose rows are whole blocks, so that its weights can be packed."""

    @functools.cache
    def saved(dtype):
        config = LlamaConfig(
            vocab_size=128,
            hidden_size=192,
            intermediate_size=384,
            num_hidden_layers=2,
            num_attention_heads=3,
            num_key_value_heads=1,
            max_position_embeddings=64,
        )
        torch.manual_seed(0)
        made = tmp_path_factory.mktemp("wide") / dtype
        LlamaForCausalLM(config).to(getattr(torch, dtype)).save_pretrained(made)
        return made

    def make(weights, dtype="bfloat16"):
        return freeze(saved(dtype), weights)

    return make


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("weights", ["int8", "int4", "int2", "float8"])
def test_the_result_differs_by_rounding_alone(folder, weights, dtype):
    exact = quantcli.load(folder(weights, dtype), kernels="quanto")
    fast = quantcli.load(folder(weights, dtype), kernels="auto")
    assert (runtime_of(exact), runtime_of(fast)) == (QUANTO, Runtime())
    if dtype == "float32":
        assert error(logits(fast), logits(exact)) < 1e-5
        return
    precise = cast(copy.deepcopy(exact), torch.float32)
    rounding = error(logits(exact), logits(precise))
    assert error(logits(fast), logits(precise)) < 2 * rounding
    for length in (1, 9):
        ids = IDS[:, :length]
        assert error(logits(fast, ids), logits(precise, ids)) < 3 * rounding


def test_int4_weights_are_packed_when_they_are_first_used(folder):
    model = quantcli.load(folder("int4"), kernels="auto")
    before = model.get_memory_footprint()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    assert not any(isinstance(each, PackedWeight) for each in model.parameters())
    logits(model)
    assert any(isinstance(each, PackedWeight) for each in model.parameters())
    assert model.get_memory_footprint() < 1.2 * before  # a zero for each group, no second copy
    after = model.state_dict()
    assert state.keys() == after.keys()
    assert all(torch.equal(state[name], after[name]) for name in state)


@pytest.mark.parametrize("ran", [False, True], ids=["before it ran", "after"])
@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_copies_compute_the_same(folder, weights, ran):
    model = quantcli.load(folder(weights), kernels="auto")
    expected = logits(quantcli.load(folder(weights), kernels="auto"))
    if ran:
        logits(model)
    for made in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert runtime_of(made) == Runtime()
        assert torch.equal(logits(made), expected)
    assert torch.equal(logits(model), expected)
    assert torch.equal(logits(model.to("cpu")), expected)
    for dtype in (torch.float32, torch.float16):
        assert error(logits(cast(copy.deepcopy(model), dtype)), expected) < 0.03
    there_and_back = cast(cast(copy.deepcopy(model), torch.float32), torch.bfloat16).state_dict()
    own = model.state_dict()
    assert all(torch.equal(there_and_back[name], own[name]) for name in own)


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_modes_and_threads(folder, weights):
    model = quantcli.load(folder(weights), kernels="auto")
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda _: logits(model), range(8))]
    assert all(torch.equal(each, found[0]) for each in found)
    with torch.inference_mode():
        assert torch.equal(model(IDS).logits.float(), found[0])
    assert torch.equal(model(IDS).logits.float().detach(), found[0])
    model(IDS).logits.float().mean().backward()
    assert model.model.norm.weight.grad.isfinite().all()


@pytest.mark.parametrize("ran", [False, True], ids=["before it ran", "after"])
@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_torch_compiles_it_whole(folder, weights, ran):
    model = quantcli.load(folder(weights), kernels="auto")
    expected = logits(quantcli.load(folder(weights), kernels="auto"))
    if ran:
        logits(model)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        found = compiled(IDS, use_cache=False).logits.float()
    assert error(found, expected) < 0.03
    torch.compiler.reset()


def test_it_is_saved_as_it_was(folder, tmp_path):
    model = quantcli.load(folder("int4"), kernels="auto")
    logits(model)
    model.save_pretrained(tmp_path / "again")
    again = quantcli.load(tmp_path / "again", kernels="quanto")
    assert torch.equal(logits(again), logits(quantcli.load(folder("int4"), kernels="quanto")))


def test_the_environment_wins_over_the_directory(tiny_model, tmp_path, monkeypatch):
    made = quantcli.quantize(
        tiny_model("llama-tied", dtype="bfloat16"), output=tmp_path / "q", kernels="quanto"
    )
    section = json.loads((made.output / "config.json").read_text())["quantization_config"]
    assert section["kernels"] == "quanto"
    monkeypatch.delenv("QUANTCLI_KERNELS")
    assert runtime_of(AutoModelForCausalLM.from_pretrained(made.output)) == QUANTO
    monkeypatch.setenv("QUANTCLI_KERNELS", "auto")
    model = AutoModelForCausalLM.from_pretrained(made.output)
    assert runtime_of(model) == Runtime()
    assert runtime_of(quantcli.load(made.output, kernels="quanto")) == QUANTO
    model.save_pretrained(tmp_path / "again")
    again = json.loads((tmp_path / "again" / "config.json").read_text())["quantization_config"]
    assert again["kernels"] == "quanto"


@needs_vnni
def test_quantized_inputs(folder):
    exact = quantcli.load(folder("int8", "float32"))
    fast = quantcli.load(folder("int8", "float32"), activations="int8")
    assert runtime_of(fast).activations == "int8"
    assert 1e-4 < error(logits(fast), logits(exact)) < 0.05
    again = copy.deepcopy(fast)
    assert torch.equal(logits(again), logits(fast))
    compiled = torch.compile(again, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        assert error(compiled(IDS, use_cache=False).logits, logits(fast)) < 0.01
    torch.compiler.reset()


def test_what_cannot_be_served(folder, monkeypatch):
    with refuses(UsageError, "int10", hint="int8"):
        quantcli.load(folder("int8"), activations="int10")
    with refuses(UsageError, "qanto", hint="quanto"):
        quantcli.load(folder("int8"), kernels="qanto")
    if has_int8_products():
        with refuses(UsageError, ("int8", "int4"), hint="int8"):
            quantcli.load(folder("int4"), activations="int8")
    monkeypatch.setattr("quantcli.kernels.machine.has_int8_products", lambda: False)
    with refuses(UsageError, ("int8", "VNNI")):
        quantcli.load(folder("int8"), activations="int8")


def test_another_cpu_computes_as_quanto(folder, monkeypatch):
    expected = logits(quantcli.load(folder("int4"), kernels="quanto"))
    monkeypatch.setattr("quantcli.kernels.products.costs", lambda: None)
    monkeypatch.setattr("quantcli.kernels.int4.costs", lambda: None)
    model = quantcli.load(folder("int4"), kernels="auto")
    assert torch.equal(logits(model), expected)
    assert not any(isinstance(each, PackedWeight) for each in model.parameters())
