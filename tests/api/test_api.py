"""The Python API: what `import quantcli` offers, from a checkpoint to a model that runs."""

from __future__ import annotations

import os
from pathlib import Path

import freezing
import pytest
import torch
import transformers
from messages import refuses

import quantcli


@pytest.mark.parametrize(
    ("weights", "least"), [("int8", 0.999), ("int4", 0.95), ("float8", 0.99), ("float8_e5m2", 0.98)]
)
def test_a_convolution_with_a_forward_of_its_own_keeps_it(tiny_model, frozen, weights, least):
    """Quanto replaces it by a plain convolution, and the outputs are another model's."""
    original = freezing.run(freezing.load_original(tiny_model("bit")))
    found = freezing.run(quantcli.load(frozen("bit", weights)))
    for name, value in original.items():
        one, other = value.flatten(), found[name].flatten()
        assert torch.nn.functional.cosine_similarity(one, other, dim=0) > least, name


@pytest.mark.parametrize(
    ("kind", "auto"),
    [
        ("bert", "AutoModel"),
        ("clip", "AutoModel"),
        ("llama-tied", "AutoModelForCausalLM"),
        ("t5-untied", "AutoModelForSeq2SeqLM"),
        ("vit", "AutoModelForImageClassification"),
        ("whisper", "AutoModelForSpeechSeq2Seq"),
    ],
)
def test_auto_classes(frozen, in_memory, kind, auto):
    loaded = getattr(transformers, auto).from_pretrained(frozen(kind, "int4"))
    expected = in_memory(kind, "int4")
    assert not loaded.training
    assert type(loaded) is type(expected)
    freezing.assert_same(freezing.run(loaded), freezing.run(expected))


@pytest.mark.parametrize("options", [{"rest": "bfloat16"}, {"rest": "float16"}], ids=str)
@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("kind", ["bert", "clip", "llama-untied"])
def test_rest(tiny_model, tmp_path, kind, weights, options):
    folder = tiny_model(kind)
    frozen = quantcli.quantize(folder, weights=weights, output=tmp_path / "out", **options)
    loaded = quantcli.load(frozen)
    dtype = getattr(torch, options["rest"])
    assert loaded.dtype == dtype
    model = freezing.load_original(folder, dtype)
    freezing.freeze_plainly(model, weights)
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


RULES = [
    {"match": "*.attention.*", "weights": "int4"},
    {"match": "*.intermediate.dense", "weights": "int2", "group_size": 32},
    {"match": "encoder.layer.0.output.dense", "weights": "float8"},
    {"match": "pooler.*", "weights": "keep"},
]


def test_each_layer_in_a_dtype_of_its_own(tiny_model, tmp_path):
    folder = tiny_model("bert")
    frozen = quantcli.quantize(folder, rules=RULES, output=tmp_path / "out")
    (row,) = quantcli.size(folder, weights=["int8"], rules=RULES).predictions
    assert row.bytes == frozen.plan.nbytes
    loaded, original = quantcli.load(frozen), freezing.load_original(folder)
    qtypes = {tensor.module: tensor.qtype for tensor in frozen.plan.quantized}
    assert set(qtypes.values()) == {"qint8", "qint4", "qint2", "qfloat8_e4m3fn"}
    for name, module in freezing.qmodules(loaded):
        assert module.weight_qtype.name == qtypes.pop(name)
        original.get_submodule(name).weight = torch.nn.Parameter(module.weight.dequantize())
    assert not qtypes
    found, expected = freezing.run(loaded), freezing.run(original.eval())
    for name, value in expected.items():
        assert torch.allclose(found[name], value, atol=1e-5), name


def test_the_three_steps(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tiny_model("bert")
    plan = quantcli.plan(folder, weights="int4", exclude=("pooler.*",))
    out = quantcli.quantize(folder, weights="int4", exclude=("pooler.*",))
    assert out.plan == plan
    assert out.output == Path(f"{folder.name}-int4")
    assert os.fspath(out) == f"{folder.name}-int4"
    assert isinstance(quantcli.load(out), transformers.BertModel)
    assert isinstance(quantcli.load(str(out.output)), transformers.BertModel)
    footprint = quantcli.size(folder, weights=["int4"], exclude=("pooler.*",))
    assert footprint.predictions[0].bytes == plan.nbytes


def test_every_public_name_is_there():
    assert all(getattr(quantcli, name) for name in quantcli.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = quantcli.nope


def test_errors_are_of_one_kind(tiny_model, tmp_path):
    bert = tiny_model("bert")
    with refuses(quantcli.UsageError, "int9", hint="int8"):
        quantcli.quantize(bert, weights="int9", output=tmp_path / "out")
    with refuses(quantcli.UsageError, "wieghts", hint="weights"):
        quantcli.plan(bert, wieghts="int8")
    with refuses(quantcli.ModelError, str(bert), "frozen directory"):
        quantcli.load(bert)
    errors = (quantcli.UsageError, quantcli.ModelError, quantcli.MachineError)
    assert all(issubclass(error, quantcli.QuantcliError) for error in errors)
    assert not list(tmp_path.iterdir())
