"""What is known of a model before it is loaded, and when it is let go."""

from __future__ import annotations

import gc
import shutil
import weakref

import pytest

import quantcli
from quantcli.comparison.engine.opening import open_side
from quantcli.comparison.engine.sides import Side, check_pair
from quantcli.comparison.engine.tasks import choose_task, model_class
from quantcli.errors import ModelError

FEW = {"samples": 2, "max_tokens": 4}


def test_the_same_weights_have_the_same_fingerprint(tiny_model, tmp_path):
    folder = tiny_model("bert")
    copy = shutil.copytree(folder, tmp_path / "copy")
    first, second, other = (
        open_side(str(path)).summary.fingerprint for path in (folder, copy, tiny_model("vit"))
    )
    assert first == second != other


def test_other_weights_of_the_same_shapes_have_another(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model("bert"), tmp_path / "copy")
    before = open_side(str(folder)).summary.fingerprint
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    content[header] ^= 1
    weights.write_bytes(content)
    assert open_side(str(folder)).summary.fingerprint != before


def test_bytes_are_what_size_says(tiny_model, freeze):
    for kind in ("bert-masked", "t5-untied", "gpt2"):
        folder = tiny_model(kind)
        footprint = quantcli.size(folder, weights=["int8"])
        original, frozen = open_side(str(folder)), open_side(str(freeze(folder, "int8")))
        assert original.nbytes == footprint.original_bytes
        assert frozen.nbytes == footprint.predictions[0].bytes
        assert (original.coverage, frozen.coverage) == (None, footprint.predictions[0].coverage)
        check_pair(original, frozen)


def test_the_first_model_is_gone_before_the_second_is_loaded(tiny_model, monkeypatch):
    load, before = Side.load, []

    def watched(side, device):
        assert not [model for model in before if model() is not None]
        model = load(side, device)
        before.append(weakref.ref(model))
        return model

    monkeypatch.setattr(Side, "load", watched)
    gc.disable()  # as the command line runs
    try:
        quantcli.compare(tiny_model("bert"), tiny_model("bert"), samples=FEW)
    finally:
        gc.enable()
    assert len(before) == 2


@pytest.mark.parametrize(
    ("kind", "other", "message"),
    [
        pytest.param("bert", "vit", "have different architectures: BertModel and ViT", id="class"),
        pytest.param("llama-tied", "llama-untied", "have different sizes", id="size"),
    ],
)
def test_models_that_do_not_belong_together(kind, other, message, tiny_model):
    first, second = open_side(str(tiny_model(kind))), open_side(str(tiny_model(other)))
    with pytest.raises(ModelError, match=message):
        check_pair(first, second)


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("BertModel", "text-embedding"),
        ("RobertaForMaskedLM", "masked-lm"),
        ("BertForSequenceClassification", "text-classification"),
        ("BertForTokenClassification", "token-classification"),
        ("BertForQuestionAnswering", "outputs"),
        ("CLIPModel", "text-image-embedding"),
        ("SiglipModel", "text-image-embedding"),
        ("ViTModel", "image-embedding"),
        ("Dinov2Model", "image-embedding"),
        ("ResNetForImageClassification", "image-classification"),
        ("GPT2LMHeadModel", "causal-lm"),
        ("Qwen3ForCausalLM", "causal-lm"),
        ("T5ForConditionalGeneration", "seq2seq-lm"),
        ("BartForConditionalGeneration", "seq2seq-lm"),
        ("WhisperForConditionalGeneration", "speech-seq2seq"),
        ("Wav2Vec2ForCTC", "speech-ctc"),
        ("Wav2Vec2Model", "outputs"),
        ("LlavaForConditionalGeneration", "image-text-to-text"),
        ("Gemma3ForConditionalGeneration", "image-text-to-text"),
        ("VisionEncoderDecoderModel", "image-text-to-text"),
        ("Qwen2AudioForConditionalGeneration", "audio-text-to-text"),
        ("SamModel", "outputs"),
        ("ClapModel", "outputs"),
        ("SegformerForSemanticSegmentation", "outputs"),
    ],
)
def test_the_task_follows_the_architecture(architecture, task, tiny_model):
    from dataclasses import replace

    import transformers

    side = open_side(str(tiny_model("bert")))
    named = replace(
        side,
        summary=replace(side.summary, architecture=architecture),
        model_class=getattr(transformers, architecture),
    )
    assert choose_task(named).name == task
    assert model_class(named).__name__ == architecture
