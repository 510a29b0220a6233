"""What is not a sound frozen directory is refused, and never filled with random weights."""

from __future__ import annotations

import json
import shutil

import freezing
import pytest
import torch
import transformers
from safetensors.torch import load_file

import quantcli
from quantcli.dtypes import CODES
from quantcli.errors import ModelError

QUERY = "encoder.layer.0.attention.self.query"


@pytest.fixture
def directory(frozen, tmp_path):
    source, _ = frozen("bert", "int4")
    return shutil.copytree(source, tmp_path / "frozen")


def rewrite(directory, change):
    path = directory / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(tensors)
    freezing.write_aligned(tensors, path)


def reconfigure(directory, change):
    path = directory / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def add(name):
    return lambda tensors: tensors.update({name: torch.ones(3)})


def drop(name):
    return lambda tensors: tensors.pop(name)


def replace(name, **options):
    return lambda tensors: tensors.update({name: torch.ones(7, **options)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(drop(f"{QUERY}.weight._data._data"), "missing .*query", id="no-data"),
        pytest.param(drop(f"{QUERY}.weight._scale"), "missing .*_scale", id="no-scale"),
        pytest.param(drop(f"{QUERY}.weight._shift"), "missing .*_shift", id="no-shift"),
        pytest.param(drop(f"{QUERY}.input_scale"), "missing .*input_scale", id="no-input-scale"),
        pytest.param(drop(f"{QUERY}.bias"), "missing .*bias", id="no-bias"),
        pytest.param(drop("embeddings.LayerNorm.weight"), "missing .*LayerNorm", id="no-norm"),
        pytest.param(add("encoder.layer.7.x"), "1 tensor left over .encoder.layer.7.x", id="extra"),
        pytest.param(add(f"{QUERY}.weight"), "left over .*query.weight.$", id="extra-float"),
        pytest.param(add(f"{QUERY}.weight._data"), "left over .*_data.$", id="extra-part"),
        pytest.param(replace(f"{QUERY}.weight._scale"), "with shape", id="scale-shape"),
        pytest.param(replace(f"{QUERY}.bias"), "with shape", id="bias-shape"),
        pytest.param(
            replace(f"{QUERY}.weight._data._data", dtype=torch.int8), "with shape", id="data-shape"
        ),
    ],
)
def test_tensors_that_do_not_fit(directory, change, message):
    rewrite(directory, change)
    with pytest.raises(ModelError, match=message):
        quantcli.load(directory)
    with pytest.raises(ModelError, match=message):
        transformers.AutoModel.from_pretrained(directory)


def test_data_of_another_dtype(directory):
    name = f"{QUERY}.weight._data._data"
    rewrite(directory, lambda tensors: tensors.update({name: tensors[name].view(torch.int8)}))
    with pytest.raises(ModelError, match="stored as I8, not as U8"):
        quantcli.load(directory)


@pytest.mark.parametrize(
    ("dtype", "other"),
    [("float16", "BF16"), ("bfloat16", "F16"), ("float32", "I32")],
)
def test_floats_whose_header_says_another_dtype(tiny_model, tmp_path, dtype, other):
    """The size is right, so only the manifest, or the kind of dtype, tells."""
    code = CODES[dtype]
    folder = quantcli.quantize(tiny_model("bert", dtype), output=tmp_path / "out").output
    path = folder / "model.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header["pooler.dense.bias"]["dtype"] == code
    header["pooler.dense.bias"]["dtype"] = other
    text = json.dumps(header, separators=(",", ":")).encode().ljust(length)
    assert len(text) == length
    path.write_bytes(content[:8] + text + content[8 + length :])
    with pytest.raises(ModelError, match=r"pooler\.dense\.bias is stored as "):
        quantcli.load(folder)


def test_group_size_that_is_not_the_stored_one(directory):
    def change(config):
        module = "encoder.layer.0.output.dense"
        config["quantization_config"]["modules"][module]["group_size"] = 32

    reconfigure(directory, change)
    with pytest.raises(ModelError, match="with shape"):
        quantcli.load(directory)


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        pytest.param("nowhere", {"weights": "qint8"}, "has no module nowhere", id="no-module"),
        pytest.param(
            "embeddings.LayerNorm", {"weights": "qint8"}, "cannot be loaded as qint8", id="a-norm"
        ),
        pytest.param(QUERY, {"weights": "qint3"}, "weights must be one of qint8", id="no-qtype"),
        pytest.param(QUERY, {}, "weights is missing", id="no-weights"),
    ],
)
def test_modules_that_do_not_fit(directory, name, spec, message):
    reconfigure(
        directory, lambda config: config["quantization_config"]["modules"].update({name: spec})
    )
    with pytest.raises(ModelError, match=message):
        quantcli.load(directory)


def test_shard_that_lost_a_tensor(frozen, tmp_path):
    _, model = frozen("bert", "int4")
    directory = freezing.write_frozen(model, tmp_path, "int4", shards=3)
    path = directory / "model-00002-of-00003.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    lost, _ = tensors.popitem()
    freezing.write_aligned(tensors, path)
    with pytest.raises(ModelError, match=f"missing .{lost}"):
        quantcli.load(directory)
    path.unlink()
    with pytest.raises(ModelError, match="model-00002"):
        quantcli.load(directory)


@pytest.mark.parametrize("keep", [0, 5, 300, -1])
def test_truncated_file(directory, keep):
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        quantcli.load(directory)


@pytest.mark.parametrize("there", [False, True], ids=["missing", "original"])
def test_not_a_frozen_directory(tmp_path, tiny_model, there):
    directory = tiny_model("bert") if there else tmp_path / "nowhere"
    with pytest.raises(ModelError, match="is not a frozen directory") as raised:
        quantcli.load(directory)
    assert "quantcli quantize" in raised.value.hint


def test_config_that_is_not_json(directory):
    (directory / "config.json").write_text("{")
    with pytest.raises(ModelError, match="is not valid JSON"):
        quantcli.load(directory)


def test_newer_version(directory):
    reconfigure(directory, lambda config: config["quantization_config"].update(version=3))
    with pytest.raises(ModelError, match="has format version 3") as raised:
        quantcli.load(directory)
    assert raised.value.hint == "upgrade quantcli"


def test_unknown_architecture(directory):
    reconfigure(directory, lambda config: config.update(architectures=["NoSuchModel"]))
    with pytest.raises(ModelError, match="does not know NoSuchModel"):
        quantcli.load(directory)


def test_unknown_dtype(directory):
    with pytest.raises(ModelError, match="floating-point"):
        quantcli.load(directory, dtype=torch.int8)
    with pytest.raises(ModelError, match=r"dtype.*can only be"):
        quantcli.load(directory, dtype="float5")


def test_disk_offload(directory):
    with pytest.raises(ModelError, match="disk"):
        quantcli.load(directory, device_map={"": "disk"})


def test_quantizing_while_loading(tiny_model):
    from quantcli.loading.quantizer import FrozenConfig

    with pytest.raises(ModelError, match="not frozen"):
        transformers.AutoModel.from_pretrained(
            tiny_model("bert"), quantization_config=FrozenConfig()
        )
