"""The frozen directory: config, index, map, manifest, model card, and what comes along."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
from messages import assert_says, assert_silent

import quantcli
from quantcli.frozen.manifest import sha256
from quantcli.frozen.verify import check


def read(path):
    return json.loads(path.read_text())


@pytest.fixture
def sentence_model(tiny_model, tmp_path):
    """Return a BERT with the side files of sentence-transformers, and some that stay behind."""
    folder = shutil.copytree(tiny_model("bert"), tmp_path / "source")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (folder / "modules.json").write_text('[{"path": ""}, {"path": "1_Pooling"}]')
    (folder / "vocab.txt").write_text("[PAD]\n")
    (folder / "README.md").write_text("theirs")
    (folder / "onnx").mkdir()
    for name in ("tf_model.h5", "onnx/model.onnx", "training_args.bin", ".gitattributes"):
        (folder / name).write_text("not needed")
    config = read(folder / "config.json") | {"a_key_of_theirs": {"kept": [1, 2]}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_what_comes_along(sentence_model, tmp_path):
    out = quantcli.quantize(sentence_model, output=tmp_path / "out").output
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {
        "1_Pooling/config.json",
        "README.md",
        "config.json",
        "model.safetensors",
        "modules.json",
        "quantcli.json",
        "vocab.txt",
    }
    assert read(out / "config.json")["a_key_of_theirs"] == {"kept": [1, 2]}


def test_what_was_written_into_the_model_stays_behind(sentence_model, tmp_path):
    quantcli.quantize(sentence_model, output=sentence_model / "frozen" / "int8")
    frozen = quantcli.quantize(sentence_model, weights="int4", output=sentence_model / "int4")
    again = quantcli.quantize(sentence_model, weights="int4", output=tmp_path / "out")
    assert not (again.output / "frozen").exists()
    assert not (again.output / "int4").exists()
    assert (again.output / "1_Pooling" / "config.json").exists()
    names = {path.name for path in frozen.output.iterdir()}
    assert names == {path.name for path in again.output.iterdir()}


def test_a_card_claims_no_more_than_was_done(tiny_model, tmp_path):
    nothing = quantcli.quantize(
        tiny_model("gpt2"), output=tmp_path / "nothing", exclude=("*",), allow_unquantized=True
    )
    card = (nothing.output / "README.md").read_text()
    assert "0 tensors are quantized: 0.0% of the weights." in card
    assert_says(card, "excluded by *", "| 8 |")
    cast = quantcli.quantize(tiny_model("gpt2"), weights="float16", output=tmp_path / "cast")
    card = (cast.output / "README.md").read_text()
    assert "with its weights cast to float16 by quantcli.\n" in card
    assert "Both need quantcli to be installed." in card
    assert "kept because" not in card


def test_manifest(sentence_model, tmp_path):
    frozen = quantcli.quantize(sentence_model, weights="int4", output=tmp_path / "out")
    manifest = read(frozen.output / "quantcli.json")
    assert manifest["source"] == {"model": str(sentence_model), "revision": None}
    assert manifest["recipe"]["weights"] == "int4"
    assert manifest["footprint"]["quantized"]["bytes"] == frozen.plan.nbytes
    assert {"quantcli", "optimum-quanto", "torch", "transformers"} <= manifest["versions"].keys()
    for name, entry in manifest["files"].items():
        data = (frozen.output / name).read_bytes()
        assert entry == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert sum(tensor["bytes"] for tensor in manifest["tensors"]) == frozen.plan.nbytes


def test_model_card(sentence_model, tmp_path):
    frozen = quantcli.quantize(sentence_model, output=tmp_path / "out")
    card = (frozen.output / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\nbase_model: source\n")
    assert "\nbase_model_relation: quantized\n" in card
    assert f"| original | float32 | {frozen.plan.original_bytes:,} | 100.0% |" in card
    assert f"| this model | int8 | {frozen.plan.nbytes:,} | {frozen.plan.ratio:.1%} |" in card
    assert_says(card, "embeddings are kept (--embeddings quantizes them)", "| 3 |")


def test_shards_have_an_index(tiny_model, tmp_path):
    frozen = quantcli.quantize(tiny_model("clip"), max_shard_size=200_000, output=tmp_path / "out")
    index = read(frozen.output / "model.safetensors.index.json")
    assert index["metadata"]["total_size"] == frozen.plan.nbytes
    assert set(index["weight_map"].values()) == set(frozen.plan.shards)
    assert not (frozen.output / "model.safetensors").exists()
    assert quantcli.size(frozen.output).predictions[0].bytes == frozen.plan.nbytes


@pytest.mark.parametrize(
    ("kind", "options", "plain"),
    [
        pytest.param("llama-untied", {}, True, id="causal lm"),
        pytest.param("llama-tied", {"weights": "int4"}, True, id="tied"),
        pytest.param("bert", {}, False, id="no causal lm"),
        pytest.param("gpt2", {}, False, id="nothing quantized"),
        pytest.param(
            "llama-untied", {"weights": "int4", "group_size": 16}, False, id="own group size"
        ),
        pytest.param("llama-untied", {"weights": "bfloat16"}, False, id="downcast"),
    ],
)
def test_the_map_is_there_where_plain_quanto_can_load(tiny_model, tmp_path, kind, options, plain):
    frozen = quantcli.quantize(
        tiny_model(kind), output=tmp_path / "out", allow_unquantized=True, **options
    )
    path = frozen.output / "quanto_qmap.json"
    assert path.exists() == plain
    if plain:
        assert set(read(path)) == {tensor.module for tensor in frozen.plan.quantized}


def test_parts_of_a_composite_say_how_they_are_quantized(tiny_model, tmp_path):
    frozen = quantcli.quantize(tiny_model("clip"), output=tmp_path / "out")
    config = read(frozen.output / "config.json")
    section = config["quantization_config"]
    assert (section["quant_method"], section["requires"]) == (None, "quantcli")
    for part in ("text_config", "vision_config"):
        assert config[part]["quantization_config"] == config["quantization_config"]


def test_verification_names_the_first_problems_and_a_way_out(tiny_model, tmp_path):
    out = quantcli.quantize(tiny_model("bert"), output=tmp_path / "out").output
    for number in range(7):
        (out / f"extra-{number}.safetensors").write_text("x")
    found = check(out)
    assert len(found.problems) == 7
    assert_says(found.listed, *(f"extra-{number}.safetensors" for number in range(5)), "2 more")
    assert_silent(found.listed, "extra-5.safetensors", "extra-6.safetensors")
    assert_says(found.hint, "delete")
    (out / "config.json").unlink()
    assert_says(check(out).hint, "quantize", "again")


def test_verification_of_a_file_that_cannot_be_read(tiny_model, tmp_path, monkeypatch):
    out = quantcli.quantize(tiny_model("bert"), output=tmp_path / "out").output

    def refuse(path):
        if path.name == "config.json":
            raise PermissionError(13, "Permission denied", str(path))
        return sha256(path)

    monkeypatch.setattr("quantcli.frozen.verify.sha256", refuse)
    (problem,) = check(out).problems
    assert_says(problem, "config.json", "Permission denied")
