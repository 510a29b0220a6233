"""`quantcli size` predicts to the byte what `quantcli quantize` writes, and reads headers only."""

from __future__ import annotations

import json
import os

import pytest
import torch
from hub import Hub
from quanto_reference import payload
from transformers.utils.generic import ContextManagers

import quantcli
from quantcli.cli import main
from quantcli.formats import WEIGHTS

KINDS = [
    "bit",
    "clip",
    "gpt2",
    "llama-tied",
    "mixtral",
    "resnet",
    "t5-tied",
    "t5-untied",
    "whisper",
]


@pytest.fixture
def output(capsys):
    """Run a command that must succeed, and return its standard output."""

    def run(*arguments):
        assert main([str(argument) for argument in arguments]) == 0
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_predicts_what_is_written(tiny_model, tmp_path, kind):
    folder = tiny_model(kind)
    footprint = quantcli.size(folder)
    assert [row.weights for row in footprint.predictions] == list(WEIGHTS)
    for row in footprint.predictions:
        frozen = quantcli.quantize(
            folder, weights=row.weights, output=tmp_path / row.weights, allow_unquantized=True
        )
        assert payload(frozen.output) == row.bytes
        assert row.bytes <= footprint.original_bytes
        assert row.ratio == row.bytes / footprint.original_bytes


def test_json(tiny_model, output):
    folder = tiny_model("clip")
    found = json.loads(output("size", folder, "-w", "int8", "-w", "float16", "--json"))
    assert found["model"] == str(folder)
    assert found["revision"] is None
    assert found["original"] == {
        "bytes": payload(folder),
        "dtypes": {"float32": payload(folder)},
    }
    assert found["parameters"] == payload(folder) // 4
    assert [row["weights"] for row in found["predictions"]] == ["int8", "float16"]
    for row in found["predictions"]:
        assert row.keys() == {
            "weights",
            "bytes",
            "ratio",
            "tensors_quantized",
            "coverage",
            "with_int8_embeddings",
        }


def test_a_frozen_directory_tells_what_is_in_it(tiny_model, tmp_path, output):
    frozen = quantcli.quantize(tiny_model("clip"), weights="int4", output=tmp_path / "out")
    found = json.loads(output("size", frozen.output, "--json"))
    (row,) = found["predictions"]
    assert (row["weights"], row["bytes"], found["frozen"]) == ("int4", payload(tmp_path / "out"), 1)


def test_by_name(tiny_model, tmp_path, output):
    folder = tiny_model("clip")
    with Hub(tmp_path) as hub:
        commit = hub.add_repo("org/clip", folder)
        with hub.in_process():
            found = json.loads(output("size", "org/clip@main", "--json"))
            assert hub.bytes_sent < payload(folder)
    assert found["revision"] == (commit if isinstance(commit, str) else found["revision"])
    assert found["predictions"] == json.loads(output("size", folder, "--json"))["predictions"]


def test_a_dtype_that_is_asked_for_twice_is_told_once(tiny_model, output):
    asked = ["-w", "int4", "-w", "int8", "-w", "int4"]
    found = json.loads(output("size", tiny_model("clip"), *asked, "--json"))
    assert [row["weights"] for row in found["predictions"]] == ["int4", "int8"]


def test_a_shipped_recipe(tiny_model, output):
    recipe = "clip-vit-large-patch14"
    found = json.loads(output("size", tiny_model("clip"), "--recipe", recipe, "--json"))
    assert [row["weights"] for row in found["predictions"]] == ["int8"]


def test_the_table(tiny_model, output):
    lines = output("size", tiny_model("clip"), "-w", "int8").splitlines()
    assert lines[0].endswith("parameters")
    assert lines[2].split() == ["weights", "bytes", "size", "ratio", "quantized", "coverage"]
    assert lines[5].split()[0] == "int8"


def sparse(model_class, config, folder, apart=()):
    """Write a checkpoint of the real shapes whose payload is a hole in the file.

    `apart` names tensors that shall not be all zeros.
    """
    with ContextManagers(model_class.get_init_context(torch.float32, False, False, None)):
        model = model_class(config)
    tied = set(model.all_tied_weights_keys) - set(apart)
    header, end = {}, 0
    for name, tensor in model.state_dict().items():
        if name not in tied:
            start, end = end, end + 4 * tensor.numel()
            shape = [*tensor.shape]
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + end)
    with path.open("r+b") as file:
        for name in apart:
            file.seek(8 + len(text) + header[name]["data_offsets"][0])
            file.write(b"\x00\x00\x80\x3f" * 1000)
    config.architectures = [model_class.__name__]
    data = config.to_dict() | {"tie_word_embeddings": False, "dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(data))


def test_clip_vit_large(tmp_path):
    from transformers import CLIPConfig, CLIPModel

    config = CLIPConfig(
        text_config={
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_attention_heads": 12,
            "num_hidden_layers": 12,
        },
        vision_config={
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_attention_heads": 16,
            "num_hidden_layers": 24,
            "patch_size": 14,
        },
        projection_dim=768,
    )
    sparse(CLIPModel, config, tmp_path)
    footprint = quantcli.size(tmp_path, weights=["int8"])
    assert footprint.original_bytes == 1_710_466_052
    assert footprint.predictions[0].bytes == 544_985_820


def test_flan_t5_small(tmp_path):
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        d_model=512,
        d_ff=1024,
        d_kv=64,
        num_layers=8,
        num_decoder_layers=8,
        num_heads=6,
        vocab_size=32128,
        feed_forward_proj="gated-gelu",
    )
    sparse(T5ForConditionalGeneration, config, tmp_path, apart=["lm_head.weight"])
    footprint = quantcli.size(tmp_path, weights=["int8"])
    assert footprint.original_bytes == 307_844_608
    assert round(footprint.predictions[0].bytes / 1e6, 1) == 126.8


def test_by_name_a_large_model_costs_what_a_small_one_does(tmp_path, output):
    from transformers import BertConfig, BertModel

    folder = tmp_path / "bert"
    folder.mkdir()
    sparse(BertModel, BertConfig(vocab_size=8000), folder)
    with Hub(tmp_path / "hub") as hub:
        hub.add_repo("org/bert", folder)
        with hub.in_process():
            found = json.loads(output("size", "org/bert", "--json"))
            assert json.loads(output("quantize", "org/bert", "--dry-run", "--json"))["tensors"]
        assert hub.bytes_sent < 300_000
    assert found["original"]["bytes"] == payload(folder) > 300_000_000
    assert found["predictions"] == json.loads(output("size", folder, "--json"))["predictions"]
