"""The Python API: what `import quantcli` offers, from a checkpoint to a model that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import freezing
import pytest
import torch
import transformers

import quantcli

PLAIN_QUANTO = """
import sys, torch
from types import SimpleNamespace
from optimum.quanto import QuantizedModelForCausalLM
from optimum.quanto.library.extensions import get_extension
unpack = lambda packed, bits: torch.cat(
    [(packed >> bits * part) & (2**bits - 1) for part in range(8 // bits)])
get_extension("quanto_cpp")._lib = SimpleNamespace(unpack=unpack)  # spares a compilation
for directory in sys.argv[1:]:
    model = QuantizedModelForCausalLM.from_pretrained(directory)
    with torch.no_grad():
        torch.save(model(torch.arange(12).reshape(2, 6) + 3).logits, f"{directory}.logits")
assert "quantcli" not in sys.modules
"""

CAUSAL = {
    "tied": ("llama-tied", {"weights": "int8"}),
    "int4": ("llama-untied", {"weights": "int4"}),
    "float8": ("llama-untied", {"weights": "float8"}),
    "shards": ("llama-untied", {"weights": "int8", "max_shard_size": 100_000}),
    "experts": ("mixtral", {"weights": "int8"}),
}


def in_memory(folder, weights):
    return freezing.freeze_plainly(freezing.load_original(folder), weights)


def test_plain_quanto_loads_what_is_written(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, (kind, options) in CAUSAL.items():
        quantcli.quantize(tiny_model(kind), output=name, **options)
        assert (tmp_path / name / "quanto_qmap.json").exists()
    alone = {**os.environ, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}  # quantcli is not even registered
    subprocess.run([sys.executable, "-c", PLAIN_QUANTO, *CAUSAL], check=True, env=alone)
    for name, (kind, options) in CAUSAL.items():
        expected = freezing.run(in_memory(tiny_model(kind), options["weights"]))["logits"]
        assert torch.equal(torch.load(f"{name}.logits"), expected), name


@pytest.mark.parametrize("weights", ["int8", "int4", "int2", "float8", "float8_e5m2"])
def test_a_convolution_with_a_forward_of_its_own_keeps_it(tiny_model, tmp_path, weights):
    """Quanto replaces it by a plain convolution, and the outputs are another model's."""
    folder = tiny_model("bit")
    loaded = quantcli.load(
        quantcli.quantize(folder, weights=weights, output=tmp_path / "out", allow_unquantized=True)
    )
    original, found = freezing.run(freezing.load_original(folder).eval()), freezing.run(loaded)
    for name, value in original.items():
        assert torch.allclose(found[name], value, atol=1e-6), name


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
def test_auto_classes(tiny_model, tmp_path, kind, auto):
    folder = tiny_model(kind)
    frozen = quantcli.quantize(folder, weights="int4", output=tmp_path / "out")
    loaded = getattr(transformers, auto).from_pretrained(frozen.output)
    assert not loaded.training
    assert type(loaded).__name__ == frozen.plan.architecture
    freezing.assert_same(freezing.run(loaded), freezing.run(in_memory(folder, "int4")))


@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
@pytest.mark.parametrize("kind", ["bert", "clip", "gpt2", "mixtral", "resnet", "t5-untied"])
def test_inference_mode(tiny_model, tmp_path, kind, weights):
    folder = tiny_model(kind)
    loaded = quantcli.load(
        quantcli.quantize(folder, weights=weights, output=tmp_path / "out", allow_unquantized=True)
    )
    with torch.inference_mode():
        inside = freezing.run(loaded)
    freezing.assert_same(inside, freezing.run(in_memory(folder, weights)))


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
    with pytest.raises(quantcli.UsageError, match="unknown weight dtype: int9") as caught:
        quantcli.quantize(tiny_model("bert"), weights="int9", output=tmp_path / "out")
    assert caught.value.hint == "did you mean int8?"
    with pytest.raises(quantcli.UsageError, match="wieghts"):
        quantcli.plan(tiny_model("bert"), wieghts="int8")
    with pytest.raises(quantcli.ModelError, match="is not a frozen directory"):
        quantcli.load(tiny_model("bert"))
    errors = (quantcli.UsageError, quantcli.ModelError, quantcli.MachineError)
    assert all(issubclass(error, quantcli.QuantcliError) for error in errors)
    assert not list(tmp_path.iterdir())
