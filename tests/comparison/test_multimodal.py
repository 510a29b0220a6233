"""Models that write about pictures and recordings: a tower that is noise must show."""

from __future__ import annotations

import json
import re
import shutil

import multimodal
import pytest
import torch
from messages import assert_says
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.comparison.inputs.kit import Kit

FEW = {"samples": 2, "max_tokens": 3}
TOWER = re.compile("vision|visual|audio_tower|^encoder")


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Make a checkpoint of a kind, once a session."""
    made = {}

    def make(kind):
        if kind not in made:
            made[kind] = multimodal.save(kind, tmp_path_factory.mktemp(kind))
        return made[kind]

    return make


def shuffled(folder, copy):
    """Copy a checkpoint, with noise in place of the weights of its vision or audio tower."""
    shutil.copytree(folder, copy)
    path = copy / "model.safetensors"
    tensors = load_file(path)
    generator = torch.Generator().manual_seed(1)
    noise = {
        name: tensor.std() * torch.randn(tensor.shape, generator=generator)
        for name, tensor in tensors.items()
        if TOWER.search(name) and tensor.dim() > 1
    }
    assert noise
    save_file(tensors | noise, path, metadata={"format": "pt"})
    return copy


def compare(folder, other, **samples):
    return quantcli.compare(folder, other, samples={**FEW, **samples}).comparison


@pytest.mark.parametrize("kind", multimodal.PICTURED)
def test_pictures_reach_the_vision_tower(kind, model, tmp_path):
    folder = model(kind)
    same = compare(folder, folder)
    assert (same.task, same.synthetic) == ("image-text-to-text", True)
    (notice,) = same.notices
    assert_says(notice, "tokenizer", "image processor", "random")
    assert (same.metrics["kl_max"].value, same.metrics["top1_agreement"].value) == (0, 1)
    assert same.generated
    noisy = compare(folder, shuffled(folder, tmp_path / "noisy"))
    assert noisy.nonfinite or noisy.metrics["kl_mean"].value > 1e-6


@pytest.mark.parametrize("kind", ["llava", "qwen2-vl"])
def test_a_frozen_model_with_a_tower_of_noise(kind, model, freeze, tmp_path):
    folder = model(kind)
    good = compare(folder, freeze(folder, "int8")).metrics
    copy = shuffled(folder, tmp_path / "noisy")
    bad = compare(folder, freeze(copy, "int8")).metrics
    assert 0.001 > good["kl_mean"].value < bad["kl_mean"].value > 0.02
    assert 0.8 < good["top1_agreement"].value > bad["top1_agreement"].value < 0.6
    assert good["exercised"].value == 1
    blind = compare(folder, freeze(copy, "int8"), task="causal-lm")
    assert blind.metrics["kl_mean"].value == pytest.approx(good["kl_mean"].value, abs=0.001)
    assert blind.metrics["exercised"].value < 1
    assert all(
        "vision" in name or "visual" in name or "projector" in name for name in blind.unreached
    )


def test_recordings_reach_the_audio_tower(model, tmp_path):
    folder = model("voxtral")
    noisy = compare(folder, shuffled(folder, tmp_path / "noisy"))
    assert noisy.task == "audio-text-to-text"
    assert noisy.metrics["kl_mean"].value > 0.01


def test_outputs_see_the_picture_too(model, tmp_path):
    folder = model("llava")
    noisy = shuffled(folder, tmp_path / "noisy")
    found = compare(folder, noisy, task="outputs").metrics
    assert found["cosine_logits"].value < 0.999


# Samples of one's own


def prepared(folder, processor):
    tokenizer = multimodal.add_tokenizer(folder, ["<image>"])
    processor(tokenizer).save_pretrained(folder)
    return folder


def llava_processor(tokenizer):
    from transformers import LlavaImageProcessorPil, LlavaProcessor

    sizes = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    options = {"patch_size": 14, "num_additional_image_tokens": 1, "image_token": "<image>"}
    return LlavaProcessor(
        LlavaImageProcessorPil(**sizes),
        tokenizer,
        vision_feature_select_strategy="default",
        **options,
    )


def qwen_image_processor(_):
    from transformers import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil()


@pytest.fixture(params=["llava", "qwen2-vl"])
def own(request, model, tmp_path):
    """Return a model with a processor of both, and one with a tokenizer and an image processor."""
    folder = shutil.copytree(model(request.param), tmp_path / request.param)
    makers = {"llava": llava_processor, "qwen2-vl": qwen_image_processor}
    return prepared(folder, makers[request.param])


def test_built_in_pictures_come_with_their_captions(own):
    found = compare(own, own)
    assert (found.samples, found.synthetic, found.notices) == (2, False, ())
    assert found.generated[0].prompt == "a red circle on a blue background"


def test_the_processor_of_a_folder_counts_the_tokens(model, tmp_path):
    folder = prepared(shutil.copytree(model("llava"), tmp_path / "llava"), llava_processor)
    kit = Kit(folder, json.loads((folder / "config.json").read_text()))
    from PIL import Image

    found = kit.process("image", Image.new("RGB", (50, 30)), "a cat")
    assert found["input_ids"].eq(multimodal.IMAGE).sum() == 4
    assert found["pixel_values"].shape == (1, 3, 28, 28)


def test_a_chat_template_is_used(model, tmp_path):
    folder = prepared(shutil.copytree(model("llava"), tmp_path / "llava"), llava_processor)
    from PIL import Image

    template = (
        "{% for m in messages %}U{% for c in m.content %}"
        "{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}"
        "{% endfor %}{% endfor %}{% if add_generation_prompt %}A{% endif %}"
    )
    (folder / "chat_template.jinja").write_text(template)
    kit = Kit(folder, json.loads((folder / "config.json").read_text()))
    found = kit.process("image", Image.new("RGB", (50, 30)), "cat")["input_ids"][0].tolist()
    told = [word for word in map(kit.tokenizer.decode, found) if word.isalpha()]
    assert "".join(told) == "UcatA"


def test_pictures_and_texts_are_paired(own, tmp_path):
    from PIL import Image

    for name in ("a", "b"):
        Image.new("RGB", (60, 40), "red").save(tmp_path / f"{name}.png")
    image, other = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    alone = compare(own, own, image=[image, other])
    assert [text.prompt for text in alone.generated] == [
        f"{image}: Describe this picture.",
        f"{other}: Describe this picture.",
    ]
    both = compare(own, own, image=[image], text=["why", "how"])
    assert [text.prompt for text in both.generated] == [f"{image}: why", f"{image}: how"]
    data = tmp_path / "data.jsonl"
    data.write_text('{"image": "a.png", "text": "one"}\n{"image": "b.png", "text": "two"}\n')
    lines = compare(own, own, data=str(data))
    assert [text.prompt for text in lines.generated] == [
        f"{data} line 1: one",
        f"{data} line 2: two",
    ]


def test_the_picture_counts(own, tmp_path):
    from PIL import Image

    hashes = []
    for colour in ("red", "blue"):
        path = tmp_path / f"{colour}.png"
        Image.new("RGB", (60, 40), colour).save(path)
        found = compare(own, own, image=[str(path)], text=["why"])
        hashes.append((found.sample_hash, found.metrics["perplexity_original"].value))
    assert hashes[0][0] != hashes[1][0]
    assert hashes[0][1] != hashes[1][1]
