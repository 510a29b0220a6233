"""A checkpoint that holds more than its class: it loads frozen as every class that it loads as."""

from __future__ import annotations

import json
import shutil

import freezing
import pytest
import tiny
import torch
import transformers
from messages import assert_says, assert_silent, refuses, says
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.cli import main
from quantcli.errors import UsageError
from quantcli.frozen.verify import verify

TOKENS = {"input_ids": torch.arange(12).reshape(2, 6) + 3}


def write_class(folder, name):
    """Name a class in the config of a checkpoint."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"architectures": [name]}))
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Save a BERT with both heads of its pretraining, which says that it has one of them."""
    folder = tmp_path_factory.mktemp("pretraining")
    config = transformers.BertConfig(**tiny._bert())
    model = transformers.BertForPreTraining(config)
    tiny._shake(model)
    model.save_pretrained(folder)
    return write_class(folder, "BertForMaskedLM")


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """Save a classifier with the pooler of the base model, which the classifier does not take."""
    folder = tmp_path_factory.mktemp("vit")
    model = tiny.build("vit")
    model.save_pretrained(folder)
    base = transformers.ViTModel(model.config).state_dict()
    pooler = {f"vit.{name}": tensor for name, tensor in base.items() if "pooler" in name}
    path = folder / "model.safetensors"
    save_file(load_file(path) | pooler, path, metadata={"format": "pt"})
    return folder


def assert_equal(folder, frozen, kind, inputs, weights):
    """Assert that a class loaded from a frozen directory is what plain Quanto makes of it."""
    theirs = freezing.freeze_plainly(kind.from_pretrained(folder).eval(), weights)
    ours = kind.from_pretrained(frozen)
    with torch.no_grad():
        expected, found = theirs(**inputs), ours(**inputs)
    assert {"pooler_output"} <= expected.keys() or kind is not transformers.AutoModel
    freezing.assert_same(dict(found.items()), dict(expected.items()))


@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
@pytest.mark.parametrize(
    "kind",
    [
        "AutoModel",
        "BertForMaskedLM",
        "BertForPreTraining",
        "BertForNextSentencePrediction",
    ],
)
def test_bert(bert, freeze, kind, weights):
    frozen = freeze(bert, weights)
    assert_equal(bert, frozen, getattr(transformers, kind), TOKENS, weights)


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("kind", ["AutoModel", "ViTForImageClassification"])
def test_vit(vit, freeze, kind, weights):
    pixels = {"pixel_values": torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)}
    assert_equal(vit, freeze(vit, weights), getattr(transformers, kind), pixels, weights)


def test_the_class_of_the_config_is_loaded_without_a_word(bert, freeze, capsys):
    frozen = freeze(bert, "int8")
    capsys.readouterr()
    assert type(quantcli.load(frozen)).__name__ == "BertForMaskedLM"
    assert "UNEXPECTED" not in "".join(capsys.readouterr())
    assert not verify(frozen)


def test_a_base_model_with_the_head_of_another(bert, tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    for path in bert.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    write_class(folder, "BertModel")
    frozen = quantcli.quantize(folder, output=tmp_path / "out").output
    for kind in (transformers.AutoModel, transformers.BertForPreTraining):
        assert_equal(folder, frozen, kind, TOKENS, "int8")


def test_what_is_loaded_can_be_saved_and_loaded_again(bert, freeze, tmp_path):
    for kind in (transformers.BertForMaskedLM, transformers.BertModel):
        loaded = kind.from_pretrained(freeze(bert, "int8"))
        loaded.save_pretrained(tmp_path / kind.__name__)
        again = kind.from_pretrained(tmp_path / kind.__name__)
        with torch.no_grad():
            freezing.assert_same(dict(again(**TOKENS)), dict(loaded(**TOKENS)))


def test_the_plan_says_so(bert):
    plan = quantcli.plan(bert)
    extra = {tensor.name: tensor for tensor in plan.tensors if tensor.extra_for}
    assert {name: tensor.extra_for for name, tensor in extra.items()} == {
        "bert.pooler.dense.bias": "BertModel",
        "bert.pooler.dense.weight": "BertModel",
        "cls.seq_relationship.bias": "BertForPreTraining",
        "cls.seq_relationship.weight": "BertForPreTraining",
    }
    for tensor in extra.values():
        assert_says(tensor.reason, "BertForMaskedLM", tensor.extra_for)
    (notice,) = plan.notices
    assert_says(notice, "BertForMaskedLM", "BertModel", "BertForPreTraining", "4 tensors")
    held = sum(tensor.nbytes for tensor in load_file(bert / "model.safetensors").values())
    assert plan.original_bytes == held
    assert plan.parameters == quantcli.plan(bert, class_name="BertForMaskedLM").parameters


def test_a_head_that_is_untied(bert, tmp_path):
    """The checkpoint holds a decoder of its own, which the config ties to the embedding."""
    from optimum.quanto import freeze, qint8, quantize

    folder = write_class(shutil.copytree(bert, tmp_path / "untied"), "BertModel")
    path = folder / "model.safetensors"
    decoder = {"cls.predictions.decoder.weight": torch.randn(tiny.VOCABULARY, 128)}
    save_file(load_file(path) | decoder, path, metadata={"format": "pt"})
    frozen = quantcli.quantize(folder, output=tmp_path / "out").output
    assert_equal(folder, frozen, transformers.AutoModel, TOKENS, "int8")
    for kind in (transformers.BertForMaskedLM, transformers.BertForPreTraining):
        ours, theirs = kind.from_pretrained(frozen), kind.from_pretrained(folder).eval()
        quantize(theirs, weights=qint8)
        freeze(theirs)
        with torch.no_grad():
            freezing.assert_same(dict(ours(**TOKENS)), dict(theirs(**TOKENS)))


@pytest.mark.parametrize(
    ("kind", "name", "whole"),
    [
        ("llama-untied", "LlamaModel", "LlamaForCausalLM"),
        ("t5-untied", "T5EncoderModel", "T5ForConditionalGeneration"),
    ],
)
def test_the_rest_of_a_larger_model(tiny_model, tmp_path, kind, name, whole):
    folder = write_class(shutil.copytree(tiny_model(kind), tmp_path / "model"), name)
    frozen = quantcli.quantize(folder, output=tmp_path / "out").output
    more = {"decoder_input_ids": TOKENS["input_ids"]} if whole.startswith("T5") else {}
    theirs = freezing.freeze_plainly(
        getattr(transformers, whole).from_pretrained(folder).eval(), "int8"
    )
    ours = getattr(transformers, whole).from_pretrained(frozen)
    with torch.no_grad():
        assert torch.equal(ours(**TOKENS, **more).logits, theirs(**TOKENS, **more).logits)


@pytest.mark.parametrize(
    ("options", "dtype"), [({"weights": "float16"}, "float16"), ({"rest": "bfloat16"}, "bfloat16")]
)
def test_it_is_cast_like_the_rest(bert, tmp_path, options, dtype):
    frozen = quantcli.quantize(bert, output=tmp_path / "out", **options).output
    theirs = transformers.BertModel.from_pretrained(bert, dtype=getattr(torch, dtype)).eval()
    if "rest" in options:
        freezing.freeze_plainly(theirs, "int8")
    with torch.no_grad():
        ours = transformers.AutoModel.from_pretrained(frozen)(**TOKENS)
        freezing.assert_same(dict(ours), dict(theirs(**TOKENS)))


def test_a_sharded_one(bert, tmp_path):
    frozen = quantcli.quantize(bert, output=tmp_path / "out", max_shard_size=100_000)
    assert len(frozen.plan.shards) > 1
    assert_equal(bert, frozen.output, transformers.AutoModel, TOKENS, "int8")


def test_a_class_that_was_asked_for_is_all_there_is(bert, tmp_path):
    frozen = quantcli.quantize(bert, class_name="BertModel", output=tmp_path / "out")
    assert frozen.plan.architecture == "BertModel"
    assert any(says(note, "BertModel") and says(note, "7 tensors") for note in frozen.plan.notices)
    assert_equal(bert, frozen.output, transformers.AutoModel, TOKENS, "int8")
    assert all("cls." not in name for name in load_file(frozen.output / "model.safetensors"))


def test_a_tower_that_was_asked_for(tiny_model, tmp_path):
    folder = tiny_model("clip")
    frozen = quantcli.quantize(
        folder, class_name="CLIPVisionModel", rest="bfloat16", output=tmp_path / "out"
    )
    loaded = quantcli.load(frozen)
    assert (type(loaded).__name__, loaded.dtype) == ("CLIPVisionModel", torch.bfloat16)
    theirs = transformers.CLIPVisionModel.from_pretrained(folder, dtype=torch.bfloat16)
    freezing.freeze_plainly(theirs, "int8")
    pixels = torch.linspace(-1, 1, 2 * 3 * 28 * 28).reshape(2, 3, 28, 28).bfloat16()
    with torch.no_grad():
        freezing.assert_same(dict(loaded(pixels)), dict(theirs(pixels)))


@pytest.mark.parametrize(
    ("name", "hint", "silent"),
    [
        ("BertForPretraining", "BertForPreTraining", "BertModel"),
        ("Linear", ("BertModel", "BertForPreTraining"), ()),
        ("", ("BertModel", "BertForPreTraining"), ()),
        ("LlamaModel", "BertLMHeadModel", "BertForPreTraining"),
    ],
)
def test_a_class_that_is_not_there(bert, name, hint, silent):
    with refuses(UsageError, f"--class {name}".strip(), "bert", hint=hint) as raised:
        quantcli.plan(bert, class_name=name)
    assert_silent(raised.value.hint, silent)


def test_the_command_line(bert, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--class", "BertForPreTraining"]
    assert main(["quantize", str(bert), "-o", "out", *options, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert main(["size", str(bert), "-w", "int8", *options, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["predictions"]
    assert row["bytes"] == written["quantized"]["bytes"]
    assert main(["compare", str(bert), "out", "--samples", "2", "-q"]) == 0
    capsys.readouterr()
    assert main(["size", str(bert), "--class", "BertForPretraining"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert_says(error, "error: --class BertForPretraining", "bert")
    assert_says(hint, "hint:", "BertForPreTraining")


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    """Save a model whose class renames prefixes of its checkpoint."""
    text = {
        "vocab_size": 99,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "rope_parameters": {
            "rope_type": "default",
            "mrope_section": [2, 3, 3],
            "rope_theta": 10000.0,
        },
    }
    text |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    vision = {"depth": 2, "embed_dim": 64, "hidden_size": 64, "num_heads": 4, "mlp_ratio": 2}
    ids = {"image_token_id": 5, "video_token_id": 6}
    ids |= {"vision_start_token_id": 3, "vision_end_token_id": 4}
    config = transformers.Qwen2VLConfig(text_config=text, vision_config=vision, **ids)
    folder = tmp_path_factory.mktemp("qwen")
    transformers.Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["AutoModel", "Qwen2VLForConditionalGeneration"])
def test_qwen2_vl(qwen, freeze, kind):
    kind = getattr(transformers, kind)
    theirs = freezing.freeze_plainly(kind.from_pretrained(qwen).eval(), "int8")
    ours = kind.from_pretrained(freeze(qwen, "int8"))
    freezing.assert_same(ours.state_dict(), freezing.state(theirs))
    tokens = {"input_ids": torch.arange(12).reshape(2, 6) + 8}
    with torch.no_grad():
        found, expected = ours(**tokens), theirs(**tokens)
    assert torch.equal(found[0], expected[0])
