"""The plan: plain data, ties, what is kept and why."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from messages import assert_says, says
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.kinds.layout import Rows
from quantcli.kinds.registry import kind_for
from quantcli.planning.choose import Chooser
from quantcli.planning.plan import TensorPlan
from quantcli.recipe import Recipe
from quantcli.skeleton import WeightModule


@pytest.mark.parametrize("kind", ["clip", "mixtral", "t5-untied"])
def test_it_is_plain_data(tiny_model, kind):
    plan = quantcli.plan(tiny_model(kind), weights="int4")
    assert json.loads(json.dumps(plan.to_dict()))["bytes"] == plan.nbytes
    assert plan.digest() == quantcli.plan(tiny_model(kind), weights="int4").digest()
    assert plan.digest() != quantcli.plan(tiny_model(kind), weights="int2").digest()


def test_a_tied_weight_is_stored_once(tiny_model):
    plan = quantcli.plan(tiny_model("llama-tied"))
    entries = {tensor.name: tensor for tensor in plan.tensors}
    assert entries["lm_head.weight"].action == "alias"
    assert entries["model.embed_tokens.weight"].action == "keep"
    assert_says(entries["model.embed_tokens.weight"].reason, "--embeddings")
    assert plan.nbytes < plan.original_bytes


@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
def test_a_head_that_is_tied_shares_the_quantized_embedding(tiny_model, weights):
    folder = tiny_model("llama-tied")
    plan = quantcli.plan(folder, weights="int8", embeddings=weights)
    entries = {tensor.name: tensor for tensor in plan.tensors}
    embedding, head = entries["model.embed_tokens.weight"], entries["lm_head.weight"]
    assert (embedding.action, embedding.frozen_as) == ("quantize", "parameter")
    assert (head.action, head.alias_of, head.nbytes) == ("alias", embedding.name, 0)
    assert plan.coverage == 1
    if weights == "int8":
        assert quantcli.plan(folder).with_int8_embeddings == plan.nbytes


def test_an_embedding_whose_head_is_excluded_is_kept(tiny_model):
    plan = quantcli.plan(tiny_model("llama-tied"), embeddings="int8", exclude=("lm_head",))
    (embedding,) = (t for t in plan.tensors if t.name == "model.embed_tokens.weight")
    assert embedding.action == "keep"
    assert_says(embedding.reason, "lm_head.weight", "excluded by lm_head")
    assert plan.with_int8_embeddings is None


def test_rules_are_for_embeddings_once_they_are_quantized(tiny_model):
    rules = [
        {"match": "*word_embeddings", "weights": "int4"},
        {"match": "*position*", "weights": "keep"},
    ]
    folder = tiny_model("bert")
    kept = {tensor.kind for tensor in quantcli.plan(folder, rules=rules).kept_matrices()}
    assert kept == {"Embedding"}
    plan = quantcli.plan(folder, embeddings="int8", rules=rules)
    tables = {t.name.split(".")[1]: t.qtype for t in plan.tensors if t.kind == "Embedding"}
    assert tables == {
        "word_embeddings": "qint4",
        "position_embeddings": None,
        "token_type_embeddings": "qint8",
    }


def test_what_the_checkpoint_holds_apart_is_apart(tiny_model):
    plan = quantcli.plan(tiny_model("t5-untied"))
    assert plan.untied == ("lm_head.weight",)
    assert any(says(notice, "lm_head.weight") for notice in plan.notices)
    assert {tensor.name for tensor in plan.quantized} >= {"lm_head.weight"}


@pytest.mark.parametrize("names", [["both"], ["alias"]], ids=["both equal", "alias alone"])
def test_the_names_under_which_a_tie_is_saved_do_not_matter(tiny_model, tmp_path, names):
    folder = shutil.copytree(tiny_model("llama-tied"), tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    embedding = tensors["model.embed_tokens.weight"]
    if names == ["alias"]:
        del tensors["model.embed_tokens.weight"]
    tensors["lm_head.weight"] = embedding.clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    found, expected = quantcli.plan(folder), quantcli.plan(tiny_model("llama-tied"))
    assert [(t.name, t.action, t.stored) for t in found.tensors] == [
        (t.name, t.action, t.stored) for t in expected.tensors
    ]
    assert found.original_bytes == expected.original_bytes
    frozen = quantcli.quantize(folder, output=tmp_path / "out")
    loaded = quantcli.load(frozen)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    assert torch.equal(loaded.lm_head.weight, embedding)


def test_what_would_not_be_smaller_is_kept():
    kind, reason = kind_for(torch.nn.Linear(1, 1))

    def choose(shape, weights="int8"):
        module = WeightModule(
            name="m",
            class_name="Linear",
            kind=kind,
            skip_reason=reason,
            weights={"weight": Rows(shape=shape)},
        )
        weight = TensorPlan(
            name="m.weight", module="m", kind="Linear", action="keep", dtype="float32", shape=shape
        )
        return Chooser(Recipe(weights=weights), {"m": module}).choose(module, weight)

    assert choose((64, 1)).reason == "int8 would not be smaller (328 of 256 bytes)"
    assert choose((64, 8)).qtype == "qint8"
    assert choose((1, 64), "int4").qtype is None


def test_conversions_are_named(tiny_model):
    plan = quantcli.plan(tiny_model("mixtral"))
    merged = [tensor for tensor in plan.tensors if tensor.conversion]
    assert {tensor.conversion for tensor in merged} >= {"MergeModulelist"}
    assert all(len(tensor.sources) > 1 for tensor in merged)


def test_tensors_that_no_parameter_takes_are_said(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model("bert"), tmp_path / "model")
    tensors = load_file(folder / "model.safetensors") | {"mystery.weight": torch.zeros(4, 4)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    plan = quantcli.plan(folder)
    assert any("mystery.weight" in notice for notice in plan.notices)
    assert plan.original_bytes == quantcli.plan(tiny_model("bert")).original_bytes


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn, torch.int64], ids=str)
def test_weights_that_look_like_codes_are_said(tiny_model, tmp_path, dtype):
    folder = shutil.copytree(tiny_model("bert"), tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    tensors["pooler.dense.weight"] = tensors["pooler.dense.weight"].to(dtype)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (notice,) = quantcli.plan(folder).notices
    assert_says(notice, "pooler.dense.weight", str(dtype).removeprefix("torch."), "float32")
    assert not quantcli.plan(tiny_model("bert")).notices


def test_what_int8_embeddings_would_save_is_what_they_save(tiny_model):
    rules = [{"match": "*position*", "weights": "keep"}]
    for options in ({}, {"rules": rules}, {"exclude": ("*word_embeddings",)}):
        told = quantcli.plan(tiny_model("bert"), **options).with_int8_embeddings
        found = quantcli.plan(tiny_model("bert"), embeddings="int8", **options)
        assert told in (found.nbytes, None), options
    assert quantcli.plan(tiny_model("bert"), rules=rules).with_int8_embeddings is not None
