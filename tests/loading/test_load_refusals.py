"""What is not a sound frozen directory is refused, and never filled with random weights."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import transformers
from messages import as_tuple, refuses
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.dtypes import CODES
from quantcli.errors import ModelError

QUERY = "encoder.layer.0.attention.self.query"


@pytest.fixture
def directory(frozen, tmp_path):
    return shutil.copytree(frozen("bert", "int4"), tmp_path / "frozen")


def rewrite(directory, change):
    path = directory / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


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
    ("change", "facts"),
    [
        pytest.param(
            drop(f"{QUERY}.weight._data._data"),
            ("missing", f"{QUERY}.weight._data._data"),
            id="no-data",
        ),
        pytest.param(
            drop(f"{QUERY}.weight._scale"), ("missing", f"{QUERY}.weight._scale"), id="no-scale"
        ),
        pytest.param(
            drop(f"{QUERY}.weight._shift"), ("missing", f"{QUERY}.weight._shift"), id="no-shift"
        ),
        pytest.param(
            drop(f"{QUERY}.input_scale"), ("missing", f"{QUERY}.input_scale"), id="no-input-scale"
        ),
        pytest.param(drop(f"{QUERY}.bias"), ("missing", f"{QUERY}.bias"), id="no-bias"),
        pytest.param(
            drop("embeddings.LayerNorm.weight"),
            ("missing", "embeddings.LayerNorm.weight"),
            id="no-norm",
        ),
        pytest.param(add("encoder.layer.7.x"), ("1 tensor", "encoder.layer.7.x"), id="extra"),
        pytest.param(add(f"{QUERY}.weight"), ("1 tensor", f"{QUERY}.weight"), id="extra-float"),
        pytest.param(
            add(f"{QUERY}.weight._data"), ("1 tensor", f"{QUERY}.weight._data"), id="extra-part"
        ),
        pytest.param(
            replace(f"{QUERY}.weight._scale"),
            (f"{QUERY}.weight._scale", "[7]", "[128, 1]"),
            id="scale-shape",
        ),
        pytest.param(replace(f"{QUERY}.bias"), (f"{QUERY}.bias", "[7]", "[128]"), id="bias-shape"),
        pytest.param(
            replace(f"{QUERY}.weight._data._data", dtype=torch.int8),
            (f"{QUERY}.weight._data._data", "[7]", "[64, 128]"),
            id="data-shape",
        ),
    ],
)
def test_tensors_that_do_not_fit(directory, change, facts):
    rewrite(directory, change)
    for load in (quantcli.load, transformers.AutoModel.from_pretrained):
        with refuses(ModelError, facts) as raised:
            load(directory)
        assert ("missing" in raised.value.message) == ("missing" in facts)


def test_data_of_another_dtype(directory):
    name = f"{QUERY}.weight._data._data"
    rewrite(directory, lambda tensors: tensors.update({name: tensors[name].view(torch.int8)}))
    with refuses(ModelError, name, "I8", "U8"):
        quantcli.load(directory)


@pytest.mark.parametrize(
    ("dtype", "other", "facts"),
    [
        ("float16", "BF16", ("bfloat16", "float16")),
        ("bfloat16", "F16", ("float16", "bfloat16")),
        ("float32", "I32", "I32"),
    ],
)
def test_floats_whose_header_says_another_dtype(frozen, tmp_path, dtype, other, facts):
    """The size is right, so only the manifest, or the kind of dtype, tells."""
    folder = shutil.copytree(frozen("bert", "int8", dtype), tmp_path / "frozen")
    path = folder / "model.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header["pooler.dense.bias"]["dtype"] == CODES[dtype]
    header["pooler.dense.bias"]["dtype"] = other
    text = json.dumps(header, separators=(",", ":")).encode().ljust(length)
    assert len(text) == length
    path.write_bytes(content[:8] + text + content[8 + length :])
    with refuses(ModelError, "pooler.dense.bias", *as_tuple(facts)):
        quantcli.load(folder)


def test_group_size_that_is_not_the_stored_one(directory):
    module = "encoder.layer.0.output.dense"

    def change(config):
        config["quantization_config"]["modules"][module]["group_size"] = 32

    reconfigure(directory, change)
    with refuses(ModelError, f"{module}.weight._data._data", "[192, 128]", "[768, 32]"):
        quantcli.load(directory)


@pytest.mark.parametrize(
    ("name", "spec", "facts"),
    [
        pytest.param("nowhere", {"weights": "qint8"}, ("BertModel", "nowhere"), id="no-module"),
        pytest.param(
            "embeddings.LayerNorm",
            {"weights": "qint8"},
            ("embeddings.LayerNorm", "qint8"),
            id="a-norm",
        ),
        pytest.param(
            QUERY,
            {"weights": "qint3"},
            (f"quantization_config.modules.{QUERY}.weights", "qint8", "qint4"),
            id="no-qtype",
        ),
        pytest.param(
            QUERY,
            {},
            (f"quantization_config.modules.{QUERY}.weights", "missing"),
            id="no-weights",
        ),
    ],
)
def test_modules_that_do_not_fit(directory, name, spec, facts):
    reconfigure(
        directory, lambda config: config["quantization_config"]["modules"].update({name: spec})
    )
    with refuses(ModelError, facts):
        quantcli.load(directory)


def test_shard_that_lost_a_tensor(frozen, tmp_path):
    source = frozen("bert", "int4", max_shard_size=150_000)
    directory = shutil.copytree(source, tmp_path / "frozen")
    path = directory / "model-00002-of-00003.safetensors"
    tensors = load_file(path)
    lost, _ = tensors.popitem()
    save_file(tensors, path, metadata={"format": "pt"})
    with refuses(ModelError, "1 tensor", "missing", lost):
        quantcli.load(directory)
    path.unlink()
    with refuses(ModelError, path.name):
        quantcli.load(directory)


@pytest.mark.parametrize("keep", [0, 5, 300, -1])
def test_truncated_file(directory, keep):
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with refuses(ModelError, "model.safetensors", "damaged"):
        quantcli.load(directory)


@pytest.mark.parametrize("there", [False, True], ids=["missing", "original"])
def test_not_a_frozen_directory(tmp_path, tiny_model, there):
    directory = tiny_model("bert") if there else tmp_path / "nowhere"
    with refuses(ModelError, str(directory), "frozen directory", hint="quantcli quantize"):
        quantcli.load(directory)


def test_config_that_is_not_json(directory):
    (directory / "config.json").write_text("{")
    with refuses(ModelError, "config.json", "JSON"):
        quantcli.load(directory)


def test_newer_version(directory):
    reconfigure(directory, lambda config: config["quantization_config"].update(version=5))
    with refuses(ModelError, "5", "4", hint=("upgrade", "quantcli")):
        quantcli.load(directory)


def test_unknown_architecture(directory):
    reconfigure(directory, lambda config: config.update(architectures=["NoSuchModel"]))
    with refuses(ModelError, "NoSuchModel"):
        quantcli.load(directory)


def test_unknown_dtype(directory):
    for dtype, named in ((torch.int8, "torch.int8"), ("float5", str(directory))):
        with refuses(ModelError, "dtype", named):
            quantcli.load(directory, dtype=dtype)


def test_disk_offload(directory):
    with refuses(ModelError, "disk"):
        quantcli.load(directory, device_map={"": "disk"})


def test_quantizing_while_loading(tiny_model):
    from quantcli.loading.quantizer import FrozenConfig

    with refuses(ModelError, "frozen"):
        transformers.AutoModel.from_pretrained(
            tiny_model("bert"), quantization_config=FrozenConfig()
        )
