"""`save_pretrained` of a frozen model makes a frozen directory, for every command."""

from __future__ import annotations

import json
import shutil

import freezing
import pytest
import torch
import transformers
from messages import refuses
from quanto_reference import payload

import quantcli
from quantcli.errors import ModelError, UsageError
from quantcli.frozen.manifest import is_frozen
from quantcli.frozen.verify import check


def manifest(directory):
    return json.loads((directory / "quantcli.json").read_text())


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        ("bert-classifier", "int4"),
        ("llama-tied", "int8"),
        ("t5-untied", "float8"),
        ("mixtral", "int4"),
        ("clip", "int8"),
        ("resnet", "int2"),
        ("gpt2", "bfloat16"),
    ],
)
def test_every_command_agrees(frozen, tmp_path, kind, weights):
    source = frozen(kind, weights)
    model = quantcli.load(source)
    saved = tmp_path / "saved"
    model.save_pretrained(saved)
    freezing.assert_same(freezing.run(quantcli.load(saved, verify=True)), freezing.run(model))
    assert check(saved).problems == ()
    assert check(saved).added == ("README.md",)
    assert quantcli.size(saved).predictions == quantcli.size(source).predictions
    old, new = manifest(source), manifest(saved)
    assert new["tensors"] == old["tensors"]
    assert new["footprint"] == old["footprint"]
    assert new["footprint"]["quantized"]["bytes"] == payload(saved)
    assert (saved / "quanto_qmap.json").exists() == (source / "quanto_qmap.json").exists()


def test_compare_takes_it(tiny_model, freeze, tmp_path):
    source = tiny_model("vit")
    saved = tmp_path / "saved"
    quantcli.load(freeze(source, "int8")).save_pretrained(saved)
    report = quantcli.compare(source, saved, samples={"samples": 2})
    assert report.comparison.quantized.weights == "int8"


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_another_dtype(frozen, tmp_path, weights):
    source = frozen("bert", weights)
    model = quantcli.load(source, dtype=torch.bfloat16)
    model.save_pretrained(tmp_path / "saved")
    new = manifest(tmp_path / "saved")
    assert new["dtype"] == "bfloat16"
    assert {entry["dtype"] for entry in new["tensors"]} == {"bfloat16"}
    assert new["footprint"]["quantized"]["bytes"] == payload(tmp_path / "saved")
    assert sum(entry["bytes"] for entry in new["tensors"]) == payload(tmp_path / "saved")
    assert new["footprint"]["original"] == manifest(source)["footprint"]["original"]
    freezing.assert_same(freezing.run(quantcli.load(tmp_path / "saved")), freezing.run(model))


@pytest.mark.parametrize(("kind", "part"), [("bert-classifier", "bert"), ("llama-tied", "model")])
def test_base_of_a_head(tiny_model, tmp_path, kind, part):
    """Its manifest is the one that quantizing the base model itself writes."""
    original = freezing.load_original(tiny_model(kind))
    getattr(original, part).save_pretrained(tmp_path / "base")
    base = quantcli.quantize(tmp_path / "base", weights="int4", output=tmp_path / "frozen").output
    whole = quantcli.quantize(tiny_model(kind), weights="int4", output=tmp_path / "whole").output
    model = transformers.AutoModel.from_pretrained(whole)
    model.save_pretrained(tmp_path / "saved")
    expected, found = manifest(base), manifest(tmp_path / "saved")
    assert found["architecture"] == expected["architecture"]
    assert found["footprint"] == expected["footprint"]
    for entry in (*expected["tensors"], *found["tensors"]):
        del entry["reason"]  # a tied embedding is kept for another
    by_name = {entry["name"]: entry for entry in expected["tensors"]}
    assert {entry["name"]: entry for entry in found["tensors"]} == by_name
    freezing.assert_same(
        freezing.run(quantcli.load(tmp_path / "saved", verify=True)), freezing.run(model)
    )


def test_shards_and_what_was_there_before(frozen, tmp_path):
    source = frozen("bert", "int8")
    model = quantcli.load(source)
    saved = shutil.copytree(source, tmp_path / "saved")
    model.save_pretrained(saved, max_shard_size="100KB")
    assert not (saved / "model.safetensors").exists()
    freezing.assert_same(freezing.run(quantcli.load(saved, verify=True)), freezing.run(model))
    quantcli.load(source).save_pretrained(saved)
    assert [path.name for path in saved.glob("model*")] == ["model.safetensors"]
    freezing.assert_same(freezing.run(quantcli.load(saved, verify=True)), freezing.run(model))


def test_sections_of_the_parts_are_marked_too(frozen, tmp_path):
    source = shutil.copytree(frozen("clip", "int8"), tmp_path / "old")
    config = json.loads((source / "config.json").read_text())
    old = config["quantization_config"] | {"quant_method": "quantcli", "version": 1}
    del old["requires"]
    for part in (config, config["text_config"], config["vision_config"]):
        part["quantization_config"] = old
    (source / "config.json").write_text(json.dumps(config))
    quantcli.load(source).save_pretrained(tmp_path / "saved")
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    for part in (config, config["text_config"], config["vision_config"]):
        assert part["quantization_config"]["requires"] == "quantcli"
        assert part["quantization_config"]["quant_method"] is None


def test_without_a_manifest_there_is_none_to_go_on_from(frozen, tmp_path):
    directory = shutil.copytree(frozen("bert", "int8"), tmp_path / "frozen")
    (directory / "quantcli.json").unlink()
    quantcli.load(directory).save_pretrained(tmp_path / "saved")
    assert is_frozen(tmp_path / "saved")
    for use in (quantcli.size, check):
        with refuses(ModelError, str(tmp_path / "saved"), "quantcli.json"):
            use(tmp_path / "saved")


@pytest.mark.parametrize(
    "change",
    [
        {"tensors": None},
        {"tensors": [{"name": "x"}]},
        {"tensors": [{"name": "x", "action": "keep", "dtype": "float9", "shape": []}]},
        {"tensors": [{"name": "x", "action": "keep", "dtype": "float32", "shape": ["1"]}]},
        {"architecture": 3},
    ],
    ids=str,
)
def test_a_damaged_manifest_is_found_before_anything_is_written(frozen, tmp_path, change):
    source = shutil.copytree(frozen("bert", "int8"), tmp_path / "frozen")
    model = quantcli.load(source)
    (source / "quantcli.json").write_text(json.dumps(manifest(source) | change))
    with refuses(ModelError, "quantcli.json", "damaged"):
        model.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_where_the_weights_are_read_from(frozen):
    source = frozen("bert", "int8")
    with refuses(ModelError, str(source)):
        quantcli.load(source).save_pretrained(source)
    assert check(source).problems == ()


@pytest.mark.parametrize(
    "options", [{"variant": "fp16"}, {"state_dict": {}}, {"push_to_hub": True}], ids=str
)
def test_options_that_make_no_frozen_directory(frozen, tmp_path, options):
    model = quantcli.load(frozen("bert", "int8"))
    with refuses(UsageError, next(iter(options))):
        model.save_pretrained(tmp_path / "saved", **options)
    assert not (tmp_path / "saved").exists()


def test_a_part_alone(frozen, tmp_path):
    model = quantcli.load(frozen("bert-classifier", "int8"))
    with refuses(ModelError, "BertModel", "part"):
        model.bert.save_pretrained(tmp_path / "saved")


def test_sentence_transformer(freeze, minilm, tmp_path):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(freeze(minilm, "int8")), device="cpu")
    model.save_pretrained(str(tmp_path / "saved"))
    assert check(tmp_path / "saved").problems == ()
    assert "modules.json" in check(tmp_path / "saved").added
    again = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    assert (again.encode(["A frozen model."]) == model.encode(["A frozen model."])).all()


def test_names_of_transformers_that_saving_asks_for():
    """Canary: whether an adapter is on the model, and where `save_pretrained` takes options."""
    import inspect

    assert transformers.PreTrainedModel._hf_peft_config_loaded is False
    original = inspect.unwrap(transformers.PreTrainedModel.save_pretrained)
    assert [*inspect.signature(original).parameters][:2] == ["self", "save_directory"]
    assert "kwargs" in inspect.signature(original).parameters


def test_other_models_are_saved_as_before(tiny_model, tmp_path):
    model = freezing.load_original(tiny_model("bert"))
    model.save_pretrained(tmp_path, max_shard_size="5GB")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
