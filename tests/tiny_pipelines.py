"""Tiny diffusers pipelines with random weights, and the images that they make of a fixed noise."""

from __future__ import annotations

import copy
import json
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import torch

LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]

COMPONENTS = {
    "sd": ("text_encoder", "unet", "vae"),
    "dit": ("transformer", "vae"),
    "ddpm": ("unet",),
}
"""A kind of pipeline -> its components with weights, in the order of its index."""

START, END = "<|startoftext|>", "<|endoftext|>"


def _tokenizer(folder: Path) -> Any:
    """Return a tokenizer of CLIP that knows letters only."""
    from transformers import CLIPTokenizer

    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), START, END]
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    vocabulary.write_text(json.dumps({word: index for index, word in enumerate(words)}))
    merges.write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(vocabulary), str(merges), model_max_length=16)
    for path in (vocabulary, merges):
        path.unlink()
    return tokenizer


def _text_encoder() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    last = 2 * len(LETTERS) + 1
    config = CLIPTextConfig(
        vocab_size=last + 1,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=16,
        bos_token_id=last - 1,
        eos_token_id=last,
        pad_token_id=last,
    )
    return CLIPTextModel(config)


def _unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        norm_num_groups=8,
        attention_head_dim=8,
    )


def _vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        norm_num_groups=8,
        sample_size=16,
    )


def _transformer() -> Any:
    from diffusers import DiTTransformer2DModel

    return DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        sample_size=8,
        patch_size=2,
        num_embeds_ada_norm=1000,  # the pipeline guides by class 1000
    )


def _scheduler() -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(steps_offset=1, clip_sample=False)


def _stable_diffusion(folder: Path) -> Any:
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=_text_encoder(),
        tokenizer=_tokenizer(folder),
        unet=_unet(),
        scheduler=_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _dit(folder: Path) -> Any:
    from diffusers import DiTPipeline

    del folder
    labels = {0: "cat", 1: "dog", 2: "a bird, a plane"}
    return DiTPipeline(_transformer(), _vae(), _scheduler(), id2label=labels)


def _ddpm(folder: Path) -> Any:
    from diffusers import DDPMPipeline, UNet2DModel

    del folder
    unet = UNet2DModel(
        sample_size=8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
    )
    return DDPMPipeline(unet, _scheduler())


KINDS = {"sd": _stable_diffusion, "dit": _dit, "ddpm": _ddpm}


def save(kind: str, folder: Path, *, dtype: str = "float32", **options: Any) -> Path:
    """Write a pipeline of a kind into `folder`, and return that. Its weights depend on the kind."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(kind.encode()))
        folder.mkdir(parents=True, exist_ok=True)
        pipeline = KINDS[kind](folder)
        for name in COMPONENTS[kind]:
            _shake(getattr(pipeline, name))
    pipeline.to(dtype=getattr(torch, dtype)).save_pretrained(folder, **options)
    return folder


def _shake(model: Any) -> None:
    """Move norms and biases off their ones and zeros: those hide errors."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)


def load(folder: Path, dtype: str = "float32") -> Any:
    """Load a pipeline with diffusers itself."""
    import torch
    from diffusers import DiffusionPipeline

    found = DiffusionPipeline.from_pretrained(folder, dtype=getattr(torch, dtype))
    assert found is not None
    return found


def freeze_plainly(pipeline: Any, weights: str, names: tuple[str, ...]) -> Any:
    """Return a copy of a pipeline with components that plain Quanto has quantized and frozen."""
    from freezing import QTYPES
    from optimum.quanto import freeze, qtypes, quantize

    from quantcli.kinds.unpack import use_torch_unpack

    use_torch_unpack()
    models = {name: copy.deepcopy(getattr(pipeline, name)) for name in names}
    for model in models.values():
        quantize(model, weights=qtypes[QTYPES[weights]])
        freeze(model)
        model.eval()
    options = {"requires_safety_checker": False} if "tokenizer" in pipeline.components else {}
    return type(pipeline)(**{**pipeline.components, **models, **options})


def image(pipeline: Any, *asked: Any, steps: int = 2, seed: int = 0) -> torch.Tensor:
    """Return the image that a pipeline makes of the noise of a seed, (height, width, 3).

    `asked` is the prompt or the classes, by default some.
    """
    import torch

    pipeline.set_progress_bar_config(disable=True)
    parts = pipeline.components
    if not asked and len(parts) > 2:
        asked = ([1],) if "transformer" in parts else ("a red fox",)
    made = pipeline(
        *asked,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    )
    return torch.from_numpy(made.images[0])
