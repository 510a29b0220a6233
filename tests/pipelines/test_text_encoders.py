"""Models of transformers in pipelines: they are what the index says, and load as that."""

from __future__ import annotations

import json

import pytest
import torch
from freezing import freeze_plainly

import quantcli

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "projection_dim": 16,
}


def t5():
    """Its embedding has two names, and the decoder of its config is not part of it."""
    from transformers import T5Config, T5EncoderModel

    shape = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    return T5EncoderModel(T5Config(**shape, vocab_size=99, feed_forward_proj="gated-gelu"))


def clip_text():
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    return CLIPTextModelWithProjection(CLIPTextConfig(**SMALL, vocab_size=99))


def clip_vision():
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    shape = {"image_size": 16, "patch_size": 8}
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**SMALL, **shape))


MODELS = {"text_encoder": clip_text, "text_encoder_2": t5, "image_encoder": clip_vision}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a pipeline of encoders in float16, with a scheduler that has a config.json."""
    from diffusers import DDIMScheduler

    folder = tmp_path_factory.mktemp("encoders")
    index = {"_class_name": "DiffusionPipeline", "scheduler": ["diffusers", "DDIMScheduler"]}
    for name, build in MODELS.items():
        model = build()
        model.half().save_pretrained(folder / name)
        index[name] = ["transformers", type(model).__name__]
    DDIMScheduler().save_pretrained(folder / "scheduler")
    (folder / "scheduler" / "config.json").write_text("{}")
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def test_encoders_are_those_of_quanto(folder, tmp_path):
    frozen = quantcli.quantize(folder, output=tmp_path / "out")
    assert (frozen.output / "scheduler" / "config.json").read_text() == "{}"
    assert not frozen.plan.notices
    for name, build in MODELS.items():
        kind = type(build())
        loaded = quantcli.load(frozen.output / name)
        assert type(loaded) is type(kind.from_pretrained(frozen.output / name)) is kind
        expected = freeze_plainly(kind.from_pretrained(folder / name, dtype="auto"), "int8")
        inputs = {"input_ids": torch.arange(10)[None]}
        if name == "image_encoder":
            inputs = {"pixel_values": torch.randn(1, 3, 16, 16).half()}
        with torch.no_grad():
            ours, theirs = loaded(**inputs)[0], expected(**inputs)[0]
        assert (ours.dtype, torch.equal(ours, theirs)) == (torch.float16, True)
