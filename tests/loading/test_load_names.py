"""Heads, base models, ties: which stored tensor goes where."""

from __future__ import annotations

import json

import freezing
import pytest
import torch
import transformers

import quantcli
from quantcli.errors import ModelError


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_base_model_of_a_head(frozen, weights):
    directory, model = frozen("bert-classifier", weights)
    loaded = transformers.AutoModel.from_pretrained(directory)
    assert type(loaded) is transformers.BertModel
    freezing.assert_same(freezing.run(loaded), freezing.run(model.bert))
    assert "pooler.dense" in loaded.config.quantization_config.modules


def test_auto_class_of_the_head(frozen):
    directory, model = frozen("bert-classifier", "int8")
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(directory)
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


@pytest.mark.parametrize(
    ("kind", "auto", "lacking"),
    [
        pytest.param("bert", "AutoModelForSequenceClassification", "classifier", id="new-head"),
        pytest.param("bert-classifier", "AutoModelForMaskedLM", "cls.predictions", id="other-head"),
        pytest.param("bert-masked", "AutoModel", "pooler", id="new-pooler"),
    ],
)
def test_a_part_that_would_be_random(frozen, kind, auto, lacking):
    directory, model = frozen(kind, "int8")
    with pytest.raises(ModelError, match=f"missing .{lacking}") as raised:
        getattr(transformers, auto).from_pretrained(directory)
    assert type(model).__name__ in str(raised.value.hint)


def test_part_left_out_on_request(frozen):
    directory, model = frozen("bert-masked", "int8")
    loaded = transformers.AutoModel.from_pretrained(directory, add_pooling_layer=False)
    with torch.no_grad():
        ours = loaded(**freezing.inputs(loaded)).last_hidden_state
        theirs = model.bert(**freezing.inputs(model)).last_hidden_state
    assert torch.equal(ours, theirs)


def test_head_on_a_base_that_is_tied(tiny_model, tmp_path):
    model = freezing.load_original(tiny_model("llama-tied"))
    base = freezing.freeze_plainly(model.model, "int8")
    directory = freezing.write_frozen(base, tmp_path, "int8")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(directory)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


@pytest.mark.parametrize("kind", ["llama-tied", "gpt2", "t5-tied", "bert-masked", "whisper"])
def test_ties_hold(frozen, kind):
    directory, _ = frozen(kind, "int8")
    loaded = quantcli.load(directory)
    ties = loaded.all_tied_weights_keys
    assert ties
    for target, source in ties.items():
        assert loaded.get_parameter(target) is loaded.get_parameter(source)


def test_untied_stay_apart(frozen):
    directory, model = frozen("t5-untied", "int8")
    config = json.loads((directory / "config.json").read_text())
    assert config["tie_word_embeddings"] is True, "transformers 5 says so, whatever is true"
    loaded = quantcli.load(directory)
    assert "lm_head.weight" not in loaded.all_tied_weights_keys
    assert loaded.encoder.embed_tokens.weight is loaded.shared.weight
    assert loaded.lm_head.frozen
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


def test_untied_but_equal_stay_apart(tiny_model, tmp_path):
    """transformers compares the values of what the class ties; the config decides here."""
    model = freezing.load_original(tiny_model("llama-tied"))
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    freezing.freeze_plainly(model, "int8")
    directory = freezing.write_frozen(model, tmp_path, "int8", untied=["lm_head.weight"])
    loaded = quantcli.load(directory)
    assert loaded.lm_head.weight is not loaded.model.embed_tokens.weight
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


def test_computed_entries_need_not_be_stored(frozen, tmp_path):
    _, model = frozen("whisper", "int8")
    name = "model.encoder.embed_positions.weight"
    directory = freezing.write_frozen(model, tmp_path, "int8", computed=[name])
    loaded = quantcli.load(directory)
    assert loaded.get_parameter(name).device.type == "cpu"


def test_legacy_names_are_not_converted(tmp_path):
    """A parameter that is really called gamma keeps its name."""
    config = transformers.ConvNextConfig(
        hidden_sizes=[32, 64], depths=[1, 1], num_stages=2, image_size=32, num_labels=3
    )
    model = transformers.ConvNextForImageClassification(config).eval()
    names = [name for name, _ in model.named_parameters()]
    freezing.freeze_plainly(model, "int8")
    directory = freezing.write_frozen(model, tmp_path, "int8")
    loaded = quantcli.load(directory)
    assert names == [name for name, _ in loaded.named_parameters()]
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


def test_one_tower_of_two(frozen, tmp_path):
    """The config of a tower is a section of the whole one, so the section must say it is frozen."""
    _, model = frozen("clip", "int8")
    directory = freezing.write_frozen(model, tmp_path, "int8")
    config = json.loads((directory / "config.json").read_text())
    config["quantization_config"]["architecture"] = "CLIPModel"
    for part in ("text_config", "vision_config"):
        config[part]["quantization_config"] = config["quantization_config"]
    (directory / "config.json").write_text(json.dumps(config))
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


def test_pure_downcast(tiny_model, tmp_path):
    """No module is quantized, and the names are parameter names all the same."""
    model = freezing.load_original(tiny_model("mixtral"), dtype=torch.bfloat16)
    directory = freezing.write_frozen(model, tmp_path, "bfloat16")
    loaded = quantcli.load(directory)
    assert loaded.dtype is torch.bfloat16
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


def test_save_pretrained_makes_a_frozen_directory(frozen, tmp_path):
    for kind in ("bert-classifier", "llama-tied", "t5-untied", "mixtral"):
        directory, model = frozen(kind, "int4")
        loaded = quantcli.load(directory)
        loaded.save_pretrained(tmp_path / kind)
        again = quantcli.load(tmp_path / kind)
        freezing.assert_same(freezing.run(again), freezing.run(model))


def test_saved_base_model_keeps_its_own_names(frozen, tmp_path):
    directory, _ = frozen("bert-classifier", "int8")
    base = transformers.AutoModel.from_pretrained(directory)
    base.save_pretrained(tmp_path)
    freezing.assert_same(freezing.run(quantcli.load(tmp_path)), freezing.run(base))
