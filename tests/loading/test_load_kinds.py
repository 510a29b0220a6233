"""Loading what plain Quanto does not quantize: embeddings shared with heads, GPT-2, experts."""

from __future__ import annotations

import copy
import json

import freezing
import pytest
import torch
import transformers
from messages import assert_says

import quantcli
from quantcli.kinds.adapted import FrozenParameters
from quantcli.kinds.linear import FrozenLinear
from quantcli.upstream.quanto import is_quantized

TIED = ("llama-tied", "gpt2", "t5-tied", "bert-masked")
"""Tiny models whose head, or second embedding, is tied to the embedding."""


@pytest.fixture
def gemma(tmp_path):
    torch.manual_seed(0)
    config = transformers.Gemma3TextConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        vocab_size=320,
    )
    transformers.Gemma3ForCausalLM(config).save_pretrained(tmp_path / "gemma")
    return tmp_path / "gemma"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("embeddings", ["int8", "int4", "float8"])
@pytest.mark.parametrize("kind", TIED)
def test_the_table_is_one_tensor(frozen, tiny_model, kind, embeddings, dtype):
    directory = frozen(kind, "int8", dtype, embeddings=embeddings)
    loaded, original = quantcli.load(directory), freezing.load_original(tiny_model(kind, dtype))
    plan = quantcli.plan(tiny_model(kind, dtype), embeddings=embeddings)
    stored = sum(path.stat().st_size for path in directory.glob("*.safetensors"))
    assert plan.nbytes < stored < plan.nbytes + 20_000
    shared = plan_aliases(plan)
    assert shared
    for name, owner in shared.items():
        assert loaded.get_parameter(name).quantized is loaded.get_parameter(owner).quantized
    with torch.inference_mode():
        found, expected = freezing.run(loaded), freezing.run(original)
    for name, values in expected.items():
        assert cosine(found[name], values) > (0.97 if embeddings == "int4" else 0.99), name


def plan_aliases(plan):
    quantized = {tensor.name for tensor in plan.quantized}
    return {t.name: t.alias_of for t in plan.tensors if t.alias_of in quantized}


@pytest.mark.parametrize("embeddings", ["int8", "int4"])
def test_a_scaled_embedding(gemma, freeze, embeddings):
    loaded = quantcli.load(freeze(gemma, "int8", embeddings=embeddings))
    original = transformers.Gemma3ForCausalLM.from_pretrained(gemma)
    table = loaded.model.embed_tokens
    assert isinstance(table, FrozenParameters)
    assert type(table).__name__ == "FrozenGemma3TextScaledWordEmbedding"
    ids = torch.arange(12).reshape(2, 6)
    dense = table.weight.dense()[ids] * table.embed_scale
    assert torch.equal(table(ids), dense)
    with torch.no_grad():
        assert cosine(loaded(ids).logits, original(ids).logits) > 0.97
        text = loaded.generate(ids[:1], max_new_tokens=5, do_sample=False)
    assert text.shape == (1, 11)


def test_the_table_stays_one_tensor(frozen):
    loaded = quantcli.load(frozen("llama-tied", "int8", embeddings="int8"))
    ids = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        expected = loaded(ids).logits
        for model in (copy.deepcopy(loaded), copy.deepcopy(loaded).to(torch.bfloat16)):
            table = dict(model.model.embed_tokens.named_parameters())["weight"]
            assert dict(model.lm_head.named_parameters())["weight"] is table
            assert table is not dict(loaded.lm_head.named_parameters())["weight"]
            assert cosine(model(ids).logits, expected) > 0.999
    loaded.tie_weights()
    assert torch.equal(loaded(ids).logits, expected)
    assert (
        loaded.get_memory_footprint()
        < 1.05
        * quantcli.load(frozen("llama-tied", "int8", embeddings="int8")).get_memory_footprint()
    )


@pytest.mark.parametrize("kind", ["llama-tied", "gpt2", "t5-tied", "mixtral", "whisper"])
def test_it_is_saved_again(frozen, tmp_path, kind):
    source = frozen(kind, "int4", embeddings="int8")
    loaded = quantcli.load(source)
    loaded.save_pretrained(tmp_path / "again")
    again = quantcli.load(tmp_path / "again", verify=True)
    freezing.assert_same(again.state_dict(), loaded.state_dict())
    freezing.assert_same(freezing.run(again), freezing.run(loaded))
    sections = [
        json.loads((folder / "config.json").read_text())["quantization_config"]
        for folder in (source, tmp_path / "again")
    ]
    assert sections[0] == sections[1]


@pytest.mark.parametrize("kind", ["llama-tied", "gpt2"])
def test_another_class_loads_it(frozen, kind):
    directory = frozen(kind, "int8", embeddings="int8")
    whole, base = quantcli.load(directory), transformers.AutoModel.from_pretrained(directory)
    inner = whole.base_model
    assert type(base) is type(inner)
    ours, theirs = (freezing.run(model) for model in (base, inner))
    freezing.assert_same(ours, theirs)


def test_conv1d_is_a_linear_layer(frozen):
    loaded = quantcli.load(frozen("gpt2", "int8"))
    layers = [
        m for name, m in loaded.named_modules() if name.endswith(("c_attn", "c_proj", "c_fc"))
    ]
    assert layers
    assert {type(layer) for layer in layers} == {FrozenLinear}
    assert all(is_quantized(layer.weight) for layer in layers)


def test_the_section_says_what_an_older_quantcli_cannot_read(frozen):
    def section(*arguments, **options):
        path = frozen(*arguments, **options) / "config.json"
        return json.loads(path.read_text())["quantization_config"]

    assert section("bert", "int8")["version"] == 2
    assert "parameters" not in section("bert", "int8")
    assert section("bert", "int8", embeddings="int8")["version"] == 3
    assert section("gpt2", "int8")["version"] == 3
    shared = section("llama-tied", "int8", embeddings="int8")["shared"]
    assert shared == {"lm_head.weight": "model.embed_tokens.weight"}


@pytest.mark.parametrize("implementation", ["eager", "grouped_mm", "batched_mm"])
def test_experts_run_with_every_implementation(frozen, implementation):
    directory = frozen("mixtral", "int8")
    expected = freezing.run(quantcli.load(directory))
    loaded = quantcli.load(directory, experts_implementation=implementation)
    freezing.assert_same(freezing.run(loaded), expected)


def test_plain_quanto_is_not_told_to_load_them(frozen):
    for kind, options in (("mixtral", {}), ("gpt2", {}), ("llama-tied", {"embeddings": "int8"})):
        assert not (frozen(kind, "int8", **options) / "quanto_qmap.json").exists()
    assert (frozen("llama-tied", "int8") / "quanto_qmap.json").exists()


def test_routers_are_kept(tiny_model):
    plan = quantcli.plan(tiny_model("mixtral"))
    kept = {tensor.kind: tensor.reason for tensor in plan.kept_matrices()}
    assert_says(kept["MixtralTopKRouter"], "router")


def cosine(one, other):
    one, other = one.flatten().double(), other.flatten().double()
    return float(torch.nn.functional.cosine_similarity(one, other, dim=0))


def test_a_tower_with_a_table_of_its_own_name(frozen):
    directory = frozen("t5-tied", "int8", embeddings="int8")
    whole, tower = quantcli.load(directory), transformers.T5EncoderModel.from_pretrained(directory)
    ids = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        found, expected = tower(ids)[0], whole.encoder(ids)[0]
    assert torch.equal(found, expected)
