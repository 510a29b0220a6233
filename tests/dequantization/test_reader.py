"""Reading a frozen directory in rows: the values that the loaded model computes with."""

from __future__ import annotations

import json
import shutil

import pytest
import rare_models
import torch
from messages import assert_says
from tiny import KINDS

import quantcli
from quantcli.dequantization import reader as reading
from quantcli.dequantization.reader import FrozenReader
from quantcli.errors import ModelError, UsageError
from quantcli.formats import QUANTIZED
from quantcli.upstream.quanto import weight_parts


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """Save a model of rare layers, once."""
    made = {}

    def make(name, dtype):
        key = (name, dtype)
        if key not in made:
            made[key] = rare_models.save(name, tmp_path_factory.mktemp(name), dtype)
        return made[key]

    return make


def assert_equal(directory):
    """Assert that all rows, in small blocks, are what the loaded model computes with."""
    expected = rare_models.dense_state(quantcli.load(directory))
    with FrozenReader(directory) as reader:
        names = {name for name, entry in reader.entries.items() if entry.action != "compute"}
        assert names == expected.keys() - {*reader.config["quantization_config"]["computed"]}
        for name in names:
            entry = reader.entry(name)
            found = torch.cat([*reader.blocks(name)]) if entry.numel else torch.empty(entry.shape)
            values = expected[name]
            if entry.rows.transposed and not entry.adapted:
                values = values.t()
            restored = entry.restored(found)
            assert restored.shape == reader.entries[name].shape
            assert restored.dtype == values.dtype
            assert torch.equal(restored, values.reshape(restored.shape)), name


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 5000)


@pytest.mark.parametrize("weights", QUANTIZED)
@pytest.mark.parametrize("kind", [*KINDS])
def test_tiny_models(frozen, kind, weights):
    # Quanto has kernels of its own for bfloat16 alone
    dtypes = {"int8": "float32", "int4": "bfloat16"}
    assert_equal(frozen(kind, weights, dtypes.get(weights, "float32")))


@pytest.mark.parametrize("weights", QUANTIZED)
@pytest.mark.parametrize("name", [*rare_models.MODELS])
def test_rare_layers(rare, freeze, name, weights):
    assert_equal(freeze(rare(name, "bfloat16"), weights))


@pytest.mark.parametrize("weights", ["int8", "int4", "float16"])
def test_float16(frozen, weights):
    assert_equal(frozen("bert-classifier", weights, "float16"))


@pytest.mark.parametrize("group_size", [32, 64])
def test_group_sizes(frozen, group_size):
    assert_equal(frozen("gpt2", "int4", "bfloat16", group_size=group_size))


@pytest.mark.parametrize("embeddings", QUANTIZED)
@pytest.mark.parametrize("kind", ["t5-tied", "llama-tied", "gpt2", "bert-masked"])
def test_tied_tables(frozen, kind, embeddings):
    assert_equal(frozen(kind, "int4", "bfloat16", embeddings=embeddings))


@pytest.mark.parametrize("weights", QUANTIZED)
def test_codes(frozen, weights):
    directory = frozen("llama-untied", weights)
    model = quantcli.load(directory)
    with FrozenReader(directory) as reader:
        for name, module in model.named_modules():
            if not hasattr(module, "weight_qtype"):
                continue
            codes = torch.cat([*reader.codes(f"{name}.weight")])
            parts = weight_parts(module.weight)
            if "_data" in parts:
                assert torch.equal(codes.view(torch.uint8), parts["_data"].view(torch.uint8))
            else:
                unpacked = module.weight._data.unpack()
                assert torch.equal(codes.reshape(unpacked.shape), unpacked)


def edited(directory, target, change):
    """Copy a frozen directory with an edited manifest."""
    shutil.copytree(directory, target)
    path = target / "quantcli.json"
    manifest = json.loads(path.read_text())
    for entry in manifest["tensors"]:
        change(entry)
    path.write_text(json.dumps(manifest))
    return target


NEW = ("quantized_shape", "transposed", "alias_of", "sources", "conversion")


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("kind", ["gpt2", "mixtral", "bert-masked", "whisper"])
def test_directories_of_older_versions(frozen, tmp_path, kind, weights):
    directory = frozen(kind, weights)
    old = edited(directory, tmp_path / "old", lambda entry: [entry.pop(k, None) for k in NEW])
    with FrozenReader(old) as found, FrozenReader(directory) as expected:
        for name, entry in expected.entries.items():
            assert (found.entries[name].rows, found.entries[name].alias_of) == (
                entry.rows,
                entry.alias_of,
            )
    assert_equal(old)


LIES = [
    pytest.param(lambda e: e.update(qtype="qint4"), id="qtype"),
    pytest.param(lambda e: e.update(group_size=64), id="group size"),
    pytest.param(lambda e: e.update(shape=[7, 7]), id="shape"),
    pytest.param(lambda e: e.update(quantized_shape=[7, 7]), id="rows"),
    pytest.param(lambda e: e.update(dtype="bfloat16"), id="dtype"),
    pytest.param(lambda e: e.update(name="other.weight"), id="name"),
    pytest.param(lambda e: e.update(action="keep"), id="action"),
    pytest.param(lambda e: e.update(action="compute", qtype=None), id="computed"),
    pytest.param(lambda e: e.pop("group_size"), id="missing key"),
    pytest.param(lambda e: e.update(shape=[-1, 7]), id="negative"),
]


@pytest.mark.parametrize("change", LIES)
@pytest.mark.parametrize("weights", ["int8", "int2"])
def test_a_manifest_that_lies(frozen, tmp_path, weights, change):
    name = "encoder.layer.0.output.dense.weight"
    directory = edited(
        frozen("bert", weights),
        tmp_path / "lies",
        lambda entry: change(entry) if entry["name"] == name else None,
    )
    with pytest.raises(ModelError):
        FrozenReader(directory)


def test_damaged_files(frozen, tmp_path):
    shutil.copytree(frozen("bert", "int8"), tmp_path / "copy")
    path = tmp_path / "copy" / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ModelError):
        FrozenReader(tmp_path / "copy")
    path.unlink()
    with pytest.raises(ModelError):
        FrozenReader(tmp_path / "copy")


def test_a_missing_shard(frozen, tmp_path):
    directory = frozen("bert", "int8", max_shard_size=200_000)
    shutil.copytree(directory, tmp_path / "copy")
    next((tmp_path / "copy").glob("model-*.safetensors")).unlink()
    with pytest.raises(ModelError):
        FrozenReader(tmp_path / "copy")
    assert_equal(directory)


def test_without_a_manifest(frozen, tmp_path):
    shutil.copytree(frozen("bert", "int8"), tmp_path / "copy")
    (tmp_path / "copy" / "quantcli.json").unlink()
    with pytest.raises(ModelError) as raised:
        FrozenReader(tmp_path / "copy")
    assert "quantcli.json" in raised.value.message
    assert raised.value.hint


def test_other_folders(tiny_model, tmp_path):
    for folder in (tiny_model("bert"), tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ModelError) as raised:
            FrozenReader(folder)
        assert_says(raised.value.message, "not a frozen directory")


def test_unknown_names(frozen):
    with FrozenReader(frozen("bert", "int8")) as reader:
        with pytest.raises(UsageError) as raised:
            next(reader.blocks("encoder.layer.0.output.dense.wieght"))
        assert raised.value.hint == "did you mean encoder.layer.0.output.dense.weight?"
