"""Heads, base models, ties: which stored tensor goes where."""

from __future__ import annotations

import re
import shutil

import freezing
import pytest
import torch
import transformers
from messages import refuses
from quanto_reference import stored
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.errors import ModelError


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_base_model_of_a_head(frozen, in_memory, weights):
    directory, model = frozen("bert-classifier", weights), in_memory("bert-classifier", weights)
    loaded = transformers.AutoModel.from_pretrained(directory)
    assert type(loaded) is transformers.BertModel
    freezing.assert_same(freezing.run(loaded), freezing.run(model.bert))
    assert "pooler.dense" in loaded.config.quantization_config.modules


def test_auto_class_of_the_head(frozen, in_memory):
    directory = frozen("bert-classifier", "int8")
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(directory)
    expected = freezing.run(in_memory("bert-classifier", "int8"))
    freezing.assert_same(freezing.run(loaded), expected)


@pytest.mark.parametrize(
    ("kind", "frozen_as", "auto", "lacking"),
    [
        pytest.param(
            "bert",
            "BertModel",
            "AutoModelForSequenceClassification",
            "classifier.bias",
            id="new-head",
        ),
        pytest.param(
            "bert-classifier",
            "BertForSequenceClassification",
            "AutoModelForMaskedLM",
            "cls.predictions.bias",
            id="other-head",
        ),
        pytest.param(
            "bert-masked", "BertForMaskedLM", "AutoModel", "pooler.dense.bias", id="new-pooler"
        ),
    ],
)
def test_a_part_that_would_be_random(frozen, kind, frozen_as, auto, lacking):
    with refuses(ModelError, lacking, "missing", hint=frozen_as):
        getattr(transformers, auto).from_pretrained(frozen(kind, "int8"))


def test_part_left_out_on_request(frozen, in_memory):
    directory, model = frozen("bert-masked", "int8"), in_memory("bert-masked", "int8")
    loaded = transformers.AutoModel.from_pretrained(directory, add_pooling_layer=False)
    with torch.no_grad():
        ours = loaded(**freezing.inputs(loaded)).last_hidden_state
        theirs = model.bert(**freezing.inputs(model)).last_hidden_state
    assert torch.equal(ours, theirs)


def test_head_on_a_base_that_is_tied(tiny_model, in_memory, tmp_path):
    freezing.load_original(tiny_model("llama-tied")).model.save_pretrained(tmp_path / "base")
    frozen = quantcli.quantize(tmp_path / "base", output=tmp_path / "frozen")
    assert frozen.plan.architecture == "LlamaModel"
    loaded = transformers.AutoModelForCausalLM.from_pretrained(frozen.output)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    freezing.assert_same(freezing.run(loaded), freezing.run(in_memory("llama-tied", "int8")))


@pytest.mark.parametrize("kind", ["llama-tied", "gpt2", "t5-tied", "bert-masked", "whisper"])
def test_ties_hold(frozen, kind):
    loaded = quantcli.load(frozen(kind, "int8"))
    ties = loaded.all_tied_weights_keys
    assert ties
    for target, source in ties.items():
        assert loaded.get_parameter(target) is loaded.get_parameter(source)


def test_untied_stay_apart(frozen, in_memory):
    directory = frozen("t5-untied", "int8")
    config = transformers.AutoConfig.from_pretrained(directory)
    assert config.tie_word_embeddings is True, "transformers 5 says so, whatever is true"
    loaded = quantcli.load(directory)
    assert "lm_head.weight" not in loaded.all_tied_weights_keys
    assert loaded.encoder.embed_tokens.weight is loaded.shared.weight
    assert loaded.lm_head.frozen
    freezing.assert_same(freezing.run(loaded), freezing.run(in_memory("t5-untied", "int8")))


def test_untied_but_equal_stay_apart(tiny_model, freeze, tmp_path):
    """transformers compares the values of what the class ties; the config decides here.

    `quantize` finds equal tensors to be tied, so the head is made equal once it is frozen.
    """
    source = freeze(tiny_model("t5-untied"), "int8", exclude=("lm_head",))
    directory = shutil.copytree(source, tmp_path / "frozen")
    path = directory / "model.safetensors"
    tensors = load_file(path)
    assert tensors["lm_head.weight"].shape == tensors["shared.weight"].shape
    tensors["lm_head.weight"] = tensors["shared.weight"].clone()
    save_file(tensors, path, metadata={"format": "pt"})
    loaded = quantcli.load(directory)
    assert loaded.lm_head.weight is not loaded.shared.weight
    assert torch.equal(loaded.lm_head.weight, loaded.shared.weight)
    assert "lm_head.weight" not in loaded.all_tied_weights_keys


def test_what_transformers_computes_need_not_be_stored(tmp_path):
    """Positions of sines are parameters of a Marian, and no published checkpoint holds them."""
    config = transformers.MarianConfig(
        vocab_size=99,
        pad_token_id=0,
        decoder_start_token_id=0,
        d_model=64,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        max_position_embeddings=64,
    )
    transformers.MarianMTModel(config).save_pretrained(tmp_path / "marian")
    path = tmp_path / "marian" / "model.safetensors"
    tensors = load_file(path)
    computed = [f"model.{side}.embed_positions.weight" for side in ("encoder", "decoder")]
    kept = {name: tensor for name, tensor in tensors.items() if name not in computed}
    save_file(kept, path, metadata={"format": "pt"})
    frozen = quantcli.quantize(tmp_path / "marian", output=tmp_path / "frozen")
    assert not {*computed} & stored(frozen.output).keys()
    loaded = quantcli.load(frozen)
    model = freezing.load_original(tmp_path / "marian")
    for name in computed:
        assert torch.equal(loaded.get_parameter(name), model.get_parameter(name))
    expected = freezing.run(freezing.freeze_plainly(model, "int8"))
    freezing.assert_same(freezing.run(loaded), expected)


def test_legacy_names_are_not_converted(tmp_path):
    """A parameter that is really called gamma keeps its name."""
    config = transformers.ConvNextConfig(
        hidden_sizes=[32, 64], depths=[1, 1], num_stages=2, image_size=32, num_labels=3
    )
    original = transformers.ConvNextForImageClassification(config).eval()
    original.save_pretrained(tmp_path / "convnext")
    names = [name for name, _ in original.named_parameters()]
    frozen = quantcli.quantize(tmp_path / "convnext", output=tmp_path / "frozen")
    loaded = quantcli.load(frozen)
    assert names == [name for name, _ in loaded.named_parameters()]
    model = freezing.freeze_plainly(original, "int8")
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


def test_one_tower_of_two(frozen, in_memory):
    """The config of a tower is a section of the whole one, so the section must say it is frozen."""
    directory, model = frozen("clip", "int8"), in_memory("clip", "int8")
    text = transformers.CLIPTextModel.from_pretrained(directory)
    vision = transformers.CLIPVisionModel.from_pretrained(directory)
    whole = transformers.AutoModel.from_pretrained(directory)
    example = freezing.inputs(model)
    with torch.no_grad():
        ours = text(example["input_ids"]).last_hidden_state
        assert torch.equal(ours, model.text_model(example["input_ids"]).last_hidden_state)
        ours = vision(example["pixel_values"]).last_hidden_state
        assert torch.equal(ours, model.vision_model(example["pixel_values"]).last_hidden_state)
    freezing.assert_same(freezing.run(whole), freezing.run(model))


@pytest.mark.parametrize("kind", ["bert-classifier", "mixtral", "t5-untied", "whisper"])
def test_pure_downcast(tiny_model, frozen, kind):
    """No module is quantized, and the names are parameter names all the same."""
    loaded = quantcli.load(frozen(kind, "bfloat16"))
    assert loaded.dtype is torch.bfloat16
    cast = freezing.load_original(tiny_model(kind), torch.bfloat16).eval()
    freezing.assert_same(freezing.run(loaded), freezing.run(cast))


@pytest.mark.parametrize("kind", ["bert-classifier", "llama-tied", "t5-untied", "mixtral"])
def test_save_pretrained_makes_a_frozen_directory(frozen, in_memory, tmp_path, kind):
    quantcli.load(frozen(kind, "int4")).save_pretrained(tmp_path)
    expected = freezing.run(in_memory(kind, "int4"))
    freezing.assert_same(freezing.run(quantcli.load(tmp_path)), expected)


def test_saved_base_model_keeps_its_own_names(frozen, tmp_path):
    base = transformers.AutoModel.from_pretrained(frozen("bert-classifier", "int8"))
    base.save_pretrained(tmp_path)
    freezing.assert_same(freezing.run(quantcli.load(tmp_path)), freezing.run(base))


@pytest.mark.parametrize("name", ["model.norm.weight", "model.layers.0.mlp.up_proj.weight._scale"])
def test_a_prefix_too_many_is_another_name(frozen, tmp_path, name):
    copy = shutil.copytree(frozen("llama-untied", "int8"), tmp_path / "copy")
    tensors = load_file(copy / "model.safetensors")
    tensors[f"model.{name}"] = tensors.pop(name)
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=re.escape(name)):
        quantcli.load(copy)
