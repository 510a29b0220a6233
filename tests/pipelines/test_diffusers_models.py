"""Models of many pipelines: frozen, each computes what Quanto computes in memory, bit for bit."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from freezing import QTYPES
from torch import randn

import quantcli

WIDTHS: dict[str, Any] = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 1}
LATENTS: dict[str, Any] = {"in_channels": 4, "out_channels": 4}
UNET: dict[str, Any] = {
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "cross_attention_dim": 32,
    "norm_num_groups": 8,
}


def time() -> torch.Tensor:
    return torch.tensor([5])


MODELS: dict[str, tuple[dict[str, Any], Callable[[], dict[str, Any]]]] = {
    "UNet2DConditionModel": (
        {
            **UNET,
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "attention_head_dim": (2, 4),
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 64,
        },
        lambda: {
            "sample": randn(1, 4, 8, 8),
            "timestep": 5,
            "encoder_hidden_states": randn(1, 5, 32),
            "added_cond_kwargs": {"text_embeds": randn(1, 16), "time_ids": randn(1, 6)},
        },
    ),
    "ControlNetModel": (
        {**UNET, "attention_head_dim": 8, "conditioning_embedding_out_channels": (16, 32)},
        lambda: {
            "sample": randn(1, 4, 8, 8),
            "timestep": 5,
            "encoder_hidden_states": randn(1, 5, 32),
            "controlnet_cond": randn(1, 3, 16, 16),
        },
    ),
    "SD3Transformer2DModel": (
        {
            **WIDTHS,
            **LATENTS,
            "sample_size": 8,
            "num_layers": 2,  # the last one is of another form
            "joint_attention_dim": 32,
            "caption_projection_dim": 32,
            "pooled_projection_dim": 16,
            "pos_embed_max_size": 16,
        },
        lambda: {
            "hidden_states": randn(1, 4, 8, 8),
            "encoder_hidden_states": randn(1, 5, 32),
            "pooled_projections": randn(1, 16),
            "timestep": time(),
        },
    ),
    "FluxTransformer2DModel": (
        {
            **WIDTHS,
            "in_channels": 4,
            "num_single_layers": 1,
            "joint_attention_dim": 32,
            "pooled_projection_dim": 16,
            "axes_dims_rope": (4, 4, 8),
        },
        lambda: {
            "hidden_states": randn(1, 16, 4),
            "encoder_hidden_states": randn(1, 5, 32),
            "pooled_projections": randn(1, 16),
            "timestep": torch.tensor([0.5]),
            "img_ids": torch.zeros(16, 3),
            "txt_ids": torch.zeros(5, 3),
        },
    ),
    "PixArtTransformer2DModel": (
        {
            **WIDTHS,
            "out_channels": 8,
            "cross_attention_dim": 32,
            "caption_channels": 16,
            "sample_size": 8,
            "use_additional_conditions": False,
        },
        lambda: {
            "hidden_states": randn(1, 4, 8, 8),
            "encoder_hidden_states": randn(1, 5, 16),
            "timestep": time(),
            "added_cond_kwargs": {"resolution": None, "aspect_ratio": None},
        },
    ),
    "WanTransformer3DModel": (
        {
            **WIDTHS,
            **LATENTS,
            "attention_head_dim": 12,
            "text_dim": 16,
            "freq_dim": 32,
            "ffn_dim": 32,
            "cross_attn_norm": True,
            "rope_max_seq_len": 32,
        },
        lambda: {
            "hidden_states": randn(1, 4, 2, 8, 8),
            "encoder_hidden_states": randn(1, 5, 16),
            "timestep": time(),
        },
    ),
    "AutoencoderTiny": ({}, lambda: {"sample": randn(1, 3, 32, 32)}),
    "VQModel": ({}, lambda: {"sample": randn(1, 3, 16, 16)}),
}
"""The name of a class -> its config, and inputs."""

UNKNOWN = ("model.patch_embedding",)
"""Modules that plain Quanto does not quantize: convolutions of videos."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Save a model as the only component of a pipeline; return its class and the folder."""

    def save(name):
        import diffusers

        folder = tmp_path_factory.mktemp("architecture")
        kind = getattr(diffusers, name)
        model = kind(**MODELS[name][0])
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
        model.save_pretrained(folder / "model")
        index = {"_class_name": "DiffusionPipeline", "model": ["diffusers", name]}
        (folder / "model_index.json").write_text(json.dumps(index))
        return kind, folder

    return save


def in_memory(model, weights, plan):
    """Quantize and freeze as plain Quanto does, without what the plan keeps."""
    from optimum.quanto import freeze, qtypes, quantize

    kept = {t.module for t in plan.tensors if t.is_matrix and t.qtype is None}
    exclude = sorted(name.removeprefix("model.") for name in kept)
    quantize(model, weights=qtypes[QTYPES[weights]], exclude=exclude or None)
    freeze(model)
    return model.eval()


def outputs(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from outputs(part)


def run(model, inputs):
    torch.manual_seed(0)
    with torch.no_grad():
        return [*outputs(model(**copy.deepcopy(inputs)))]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_a_frozen_model_computes_what_quanto_does(name, weights, saved, tmp_path):
    kind, folder = saved(name)
    frozen = quantcli.quantize(folder, weights=weights, exclude=UNKNOWN, output=tmp_path / "out")
    assert frozen.plan.coverage > 0.9
    expected = in_memory(kind.from_pretrained(folder / "model"), weights, frozen.plan)
    inputs = MODELS[name][1]()
    found = run(quantcli.load(frozen.output / "model"), inputs)
    for ours, theirs in zip(found, run(expected, inputs), strict=True):
        assert torch.equal(ours, theirs)


def test_what_diffusers_keeps_in_float32_stays_so(saved, tmp_path):
    """Whatever the dtype of the model: `from_pretrained(dtype=…)` of the class does the same."""
    kind, folder = saved("WanTransformer3DModel")
    frozen = quantcli.quantize(folder, rest="bfloat16", exclude=UNKNOWN, output=tmp_path / "out")
    cast = kind.from_pretrained(folder / "model", dtype=torch.bfloat16)
    expected = in_memory(cast, "int8", frozen.plan)
    loaded = quantcli.load(frozen.output / "model")
    ours, theirs = loaded.state_dict(), expected.state_dict()
    assert {t.dtype for t in ours.values()} == {torch.int8, torch.float32, torch.bfloat16}
    assert {name: t.dtype for name, t in ours.items()} == {n: t.dtype for n, t in theirs.items()}
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
