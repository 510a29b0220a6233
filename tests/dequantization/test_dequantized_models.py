"""Dequantized checkpoints: the names of the original, the values of the frozen model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import freezing
import pytest
import rare_models
import torch
import transformers
from messages import refuses
from safetensors.torch import load_file, save_file
from tiny import KINDS

import quantcli
from quantcli.dequantization import elements, writing
from quantcli.errors import MachineError, ModelError, UsageError
from quantcli.frozen import staging

PLAIN = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("quantcli", "optimum"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
import torch, transformers
from safetensors.torch import save_file
model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1])
state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
with torch.no_grad():
    state["logits"] = model(torch.arange(12).reshape(2, 6) + 3).logits
save_file(state, sys.argv[2])
assert not {"quantcli", "optimum"} & {name.partition(".")[0] for name in sys.modules}
"""
"""Loads a checkpoint where neither quantcli nor Quanto can be imported."""

OLD = ("quantized_shape", "transposed", "alias_of", "sources", "conversion")
"""What the manifests of older versions lack."""


@pytest.fixture(autouse=True)
def _small_units(monkeypatch):
    monkeypatch.setattr(writing, "UNIT_BYTES", 20_000)
    monkeypatch.setattr(elements, "BLOCK_BYTES", 5_000)


@pytest.fixture
def dequantized(tmp_path):
    """Dequantize a directory, and return where to."""

    def make(directory, name="plain", **options):
        return quantcli.dequantize(directory, output=tmp_path / name, **options).output

    return make


def tensors(folder):
    """Return every tensor of a checkpoint."""
    found = {}
    for path in Path(folder).glob("*.safetensors"):
        found |= load_file(path)
    return found


def shapes(folder):
    return {name: tuple(tensor.shape) for name, tensor in tensors(folder).items()}


def load(folder):
    """Load a plain checkpoint as the class that its config names."""
    (name,) = json.loads((folder / "config.json").read_text())["architectures"]
    return getattr(transformers, name).from_pretrained(folder)


def assert_same(folder, directory):
    """Assert that a plain model has the weights that the frozen one computes with."""
    plain = load(folder)
    expected, found = rare_models.dense_state(quantcli.load(directory)), plain.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        values, module = expected[name], plain.get_submodule(name.rpartition(".")[0])
        # a frozen Conv1D is a linear layer
        turned = type(module).__name__ == "Conv1D" and tensor.dim() == 2
        assert torch.equal(tensor, values.t() if turned else values), name


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("kind", [*KINDS])
def test_names_and_values(frozen, tiny_model, dequantized, kind, weights):
    directory = frozen(kind, weights)
    folder = dequantized(directory)
    assert shapes(folder) == shapes(tiny_model(kind))
    assert_same(folder, directory)


@pytest.mark.parametrize("name", [*rare_models.MODELS])
def test_rare_layers(tmp_path, dequantized, name):
    original = rare_models.save(name, tmp_path / name, "bfloat16")
    directory = quantcli.quantize(original, weights="int4", output=tmp_path / "frozen").output
    folder = dequantized(directory)
    assert shapes(folder) == shapes(original)
    assert load(folder).dtype == torch.bfloat16
    if name != "encodec":  # its weight norm computes weights as it is loaded
        assert_same(folder, directory)


@pytest.mark.parametrize("kind", ["gpt2", "mixtral", "bert-masked", "t5-untied", "clip"])
def test_directories_of_older_versions(frozen, dequantized, tmp_path, kind):
    directory = frozen(kind, "int8")
    old = shutil.copytree(directory, tmp_path / "old")
    path = old / "quantcli.json"
    manifest = json.loads(path.read_text())
    for entry in manifest["tensors"]:
        for key in OLD:
            entry.pop(key, None)
    path.write_text(json.dumps(manifest))
    expected, found = tensors(dequantized(directory)), tensors(dequantized(old, "from old"))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_tensors_that_transformers_fuses(tmp_path, dequantized):
    """One matrix of the checkpoint is three parameters, which are one again."""
    torch.manual_seed(0)
    config = transformers.NomicBertConfig(
        vocab_size=99,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
    )
    transformers.NomicBertModel(config).save_pretrained(tmp_path / "model")
    directory = quantcli.quantize(tmp_path / "model", output=tmp_path / "frozen").output
    listed = json.loads((directory / "quantcli.json").read_text())["tensors"]
    assert any(entry.get("conversion") == "Chunk" for entry in listed)
    folder = dequantized(directory)
    assert shapes(folder) == shapes(tmp_path / "model")
    assert_same(folder, directory)


def test_legacy_names(tiny_model, tmp_path, dequantized):
    """Names that transformers no longer writes, and the prefix of a base model."""
    original = shutil.copytree(tiny_model("bert"), tmp_path / "old")
    renamed = {
        "bert."
        + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors(original).items()
    }
    save_file(renamed, original / "model.safetensors", metadata={"format": "pt"})
    directory = quantcli.quantize(original, output=tmp_path / "frozen").output
    folder = dequantized(directory)
    assert shapes(folder) == shapes(original)
    assert any(name.endswith("LayerNorm.gamma") for name in shapes(folder))
    assert_same(folder, directory)


@pytest.mark.parametrize("kind", ["llama-tied", "gpt2", "mixtral"])
def test_without_quantcli(frozen, dequantized, python, tmp_path, kind):
    directory = frozen(kind, "int8", embeddings="int8")
    folder = dequantized(directory)
    done = python.run(PLAIN, folder, tmp_path / "state.safetensors")
    assert done.returncode == 0, done.stderr
    found = load_file(tmp_path / "state.safetensors")
    frozen_model = quantcli.load(directory)
    with torch.no_grad():
        logits = frozen_model(torch.arange(12).reshape(2, 6) + 3).logits
    torch.testing.assert_close(found.pop("logits"), logits, rtol=1e-4, atol=1e-5)
    assert found.keys() == load(folder).state_dict().keys()


@pytest.mark.parametrize("kind", ["whisper", "resnet"])
def test_outputs_where_weights_are_dequantized(frozen, dequantized, kind):
    # int4 in float32 has no kernel: Quanto multiplies with the dequantized weight
    directory = frozen(kind, "int4")
    plain = freezing.run(load(dequantized(directory)))
    for name, values in freezing.run(quantcli.load(directory)).items():
        torch.testing.assert_close(plain[name], values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", torch.bfloat16, "fp32"])
def test_another_dtype(frozen, dequantized, dtype):
    directory = frozen("bert", "int8")
    expected = tensors(dequantized(directory))
    folder = dequantized(directory, "cast", dtype=dtype)
    name = {"fp32": "float32"}.get(dtype, str(dtype).removeprefix("torch."))
    config = json.loads((folder / "config.json").read_text())
    assert config["dtype"] == name
    for key, tensor in tensors(folder).items():
        assert torch.equal(tensor, expected[key].to(getattr(torch, name))), key


def test_a_cast_that_overflows(tiny_model, dequantized, tmp_path):
    original = shutil.copytree(tiny_model("bert"), tmp_path / "large")
    found = tensors(original)
    found["encoder.layer.1.output.dense.weight"][3, 4] = 1e6
    save_file(found, original / "model.safetensors", metadata={"format": "pt"})
    directory = quantcli.quantize(original, output=tmp_path / "frozen").output
    with refuses(ModelError, ("encoder.layer.1.output.dense.weight", "float16"), hint="bfloat16"):
        dequantized(directory, dtype="float16")
    assert not (tmp_path / "plain").exists()


def test_config_and_files(frozen, dequantized, tiny_model):
    folder = dequantized(frozen("clip", "int8"))
    config = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in json.dumps(config)
    original = json.loads((tiny_model("clip") / "config.json").read_text())
    assert {k: v for k, v in config.items() if not k.endswith("_config")} == {
        k: v for k, v in original.items() if not k.endswith("_config")
    }
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert "int8" in (folder / "README.md").read_text()


def test_side_files(minilm, dequantized, tmp_path):
    directory = quantcli.quantize(minilm, output=tmp_path / "frozen").output
    folder = dequantized(directory)
    for name in ("tokenizer.json", "modules.json", "1_Pooling/config.json"):
        assert (folder / name).read_bytes() == (minilm / name).read_bytes()
    assert not (folder / "quantcli.json").exists()


def test_what_other_classes_load(tmp_path, dequantized):
    from tiny import _bert

    torch.manual_seed(0)
    model = transformers.BertForPreTraining(transformers.BertConfig(**_bert()))
    model.save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text()) | {"architectures": ["BertForMaskedLM"]}
    path.write_text(json.dumps(config))
    directory = quantcli.quantize(tmp_path / "model", output=tmp_path / "frozen").output
    folder = dequantized(directory)
    assert shapes(folder) == shapes(tmp_path / "model")
    pooler = transformers.BertModel.from_pretrained(folder).pooler.dense.weight
    loaded = transformers.BertModel.from_pretrained(directory).pooler.dense.weight
    assert torch.equal(pooler, loaded.dequantize())


@pytest.mark.parametrize("kind", ["bert", "mixtral"])
def test_shards(frozen, dequantized, kind):
    directory = frozen(kind, "int8")
    folder = dequantized(directory, "shards", max_shard_size=200_000)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    files = sorted(path.name for path in folder.glob("*.safetensors"))
    assert sorted(set(index["weight_map"].values())) == files
    assert len(files) > 2
    expected = tensors(dequantized(directory))
    found = tensors(folder)
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in found.values())
    assert found.keys() == expected.keys() == index["weight_map"].keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    for path in folder.glob("*.safetensors"):
        assert sum(tensor.nbytes for tensor in load_file(path).values()) <= 200_000


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["llama-untied", "gpt2", "mixtral", "whisper"])
def test_quantized_again(frozen, dequantized, tmp_path, kind, dtype):
    """The codes are the same again; scales are up to their last bit."""
    directory = frozen(kind, "int8", dtype)
    again = quantcli.quantize(dequantized(directory), output=tmp_path / "again").output
    expected, found = tensors(directory), tensors(again)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        if name.endswith("_scale"):
            torch.testing.assert_close(found[name], tensor)
        elif name.endswith("_data") and dtype == "float32":
            assert torch.equal(found[name], tensor), name


def test_a_cast_is_restored(frozen, tiny_model, dequantized):
    folder = dequantized(frozen("mixtral", "float16"))
    expected = {name: tensor.half() for name, tensor in tensors(tiny_model("mixtral")).items()}
    found = tensors(folder)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_overwrite(frozen, dequantized, tiny_model, tmp_path):
    directory = frozen("bert", "int8")
    folder = dequantized(directory)
    with refuses(UsageError, "plain", hint="--overwrite"):
        dequantized(directory)
    (folder / "old").touch()
    dequantized(directory, overwrite=True)
    assert not (folder / "old").exists()
    own = shutil.copytree(tiny_model("bert"), tmp_path / "own")
    with refuses(UsageError, "own"):
        dequantized(directory, "own", overwrite=True)
    assert (own / "model.safetensors").exists()


def test_folders_in_each_other(frozen, tmp_path):
    directory = shutil.copytree(frozen("bert", "int8"), tmp_path / "outer" / "frozen")
    for output in (directory, directory / "inner", tmp_path / "outer"):
        with pytest.raises(UsageError):
            quantcli.dequantize(directory, output=output, overwrite=True)
    quantcli.load(directory)


def test_no_space(frozen, dequantized, monkeypatch, tmp_path):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with refuses(MachineError, "plain"):
        dequantized(frozen("bert", "int8"))
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_a_failure(frozen, dequantized, tmp_path, monkeypatch):
    def fail(*_):
        raise ModelError("no")

    monkeypatch.setattr(elements.Elements, "read", fail)
    with pytest.raises(ModelError):
        dequantized(frozen("bert", "int8"))
    assert not list(tmp_path.iterdir())


def test_memory_is_that_of_blocks(frozen, dequantized, monkeypatch):
    """No tensor is read whole: a read is at most a unit, or a row."""
    seen = []
    original = elements.Elements.read

    def read(self, start, out, workspace):
        seen.append(out.nbytes)
        original(self, start, out, workspace)

    monkeypatch.setattr(elements.Elements, "read", read)
    dequantized(frozen("mixtral", "int4"), jobs=1)
    assert len(seen) > 50
    assert max(seen) <= 20_000
