"""Tiny models that take pictures or recordings with a text, and tiny processors for their folders.

Random weights, like those of `tiny`; the kinds here have parts that a text alone does not reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from transformers import PreTrainedModel

IMAGE = 98
"""The token that stands for a picture, or a recording: the last one."""

_TEXT: dict[str, Any] = {"vocab_size": 99, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_LAYERS: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 4}
_WIDTH: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128}
_VISION: dict[str, Any] = {**_WIDTH, **_LAYERS, "image_size": 28, "patch_size": 14}
_LANGUAGE: dict[str, Any] = {
    **_TEXT,
    **_LAYERS,
    **_WIDTH,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
_LLAMA = {**_LANGUAGE, "model_type": "llama"}
_CLIP = {**_VISION, "model_type": "clip_vision_model", "projection_dim": 64}
_SIGLIP = {**_VISION, "model_type": "siglip_vision_model"}
_ROPE = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}


def llava() -> PreTrainedModel:
    """A token for each patch of a CLIP tower."""
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    config = LlavaConfig(vision_config=_CLIP, text_config=_LLAMA, image_token_index=IMAGE)
    return LlavaForConditionalGeneration(config)


def llava_next() -> PreTrainedModel:
    """Pictures cut into tiles, as their `image_sizes` say."""
    from transformers import LlavaNextConfig, LlavaNextForConditionalGeneration

    config = LlavaNextConfig(
        vision_config=_CLIP,
        text_config=_LLAMA,
        image_token_index=IMAGE,
        image_grid_pinpoints=[[28, 56], [56, 28]],
    )
    return LlavaNextForConditionalGeneration(config)


def qwen2_vl() -> PreTrainedModel:
    """Patches in a row with `image_grid_thw`, and positions in three dimensions."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    vision = {"depth": 2, "embed_dim": 64, "hidden_size": 64, "num_heads": 4, "patch_size": 14}
    config = Qwen2VLConfig(
        vision_config=vision,
        text_config={**_LANGUAGE, "rope_parameters": _ROPE},
        image_token_id=IMAGE,
        video_token_id=97,
        vision_start_token_id=95,
        vision_end_token_id=96,
    )
    return Qwen2VLForConditionalGeneration(config)


def gemma3() -> PreTrainedModel:
    """Listed by transformers among models of text alone as well."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    config = Gemma3Config(
        vision_config=_SIGLIP,
        text_config={**_LANGUAGE, "head_dim": 16, "sliding_window": 64},
        mm_tokens_per_image=4,
        image_token_index=IMAGE,
        boi_token_index=96,
        eoi_token_index=97,
    )
    return Gemma3ForConditionalGeneration(config)


def idefics3() -> PreTrainedModel:
    """A dimension of pictures, and a mask of pixels."""
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration

    config = Idefics3Config(
        vision_config=_VISION, text_config=_LLAMA, image_token_id=IMAGE, scale_factor=2
    )
    return Idefics3ForConditionalGeneration(config)


def mllama() -> PreTrainedModel:
    """Attention across to the picture: no token stands for it."""
    from transformers import MllamaConfig, MllamaForConditionalGeneration

    vision = {
        **_VISION,
        "num_global_layers": 1,
        "attention_heads": 4,
        "vision_output_dim": 128,
        "intermediate_layers_indices": [0],
    }
    text = {**_LANGUAGE, "num_hidden_layers": 3, "cross_attention_layers": [1]}
    text |= {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}
    config = MllamaConfig(vision_config=vision, text_config=text, image_token_index=IMAGE)
    return MllamaForConditionalGeneration(config)


def blip2() -> PreTrainedModel:
    """A few queries between the picture and the text."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration

    text = {"model_type": "opt", "hidden_size": 64, "ffn_dim": 128, "word_embed_proj_dim": 64}
    config = Blip2Config(
        vision_config=_VISION,
        qformer_config={**_WIDTH, **_LAYERS, "vocab_size": 99, "encoder_hidden_size": 64},
        text_config={**_TEXT, **_LAYERS, **text, "max_position_embeddings": 512},
        num_query_tokens=4,
        image_token_index=IMAGE,
    )
    return Blip2ForConditionalGeneration(config)


def kosmos2() -> PreTrainedModel:
    """A mask of positions says where the picture is."""
    from transformers import Kosmos2Config, Kosmos2ForConditionalGeneration

    text = {"embed_dim": 64, "layers": 2, "ffn_dim": 128, "attention_heads": 4}
    text |= {**_TEXT, "max_position_embeddings": 128}
    config = Kosmos2Config(text_config=text, vision_config=_CLIP, latent_query_num=4)
    return Kosmos2ForConditionalGeneration(config)


def pix2struct() -> PreTrainedModel:
    """An encoder of patches and a decoder of text."""
    from transformers import Pix2StructConfig, Pix2StructForConditionalGeneration

    size = {"hidden_size": 64, "d_kv": 16, "d_ff": 128}
    config = Pix2StructConfig(
        text_config={
            **size,
            "vocab_size": 99,
            "num_layers": 2,
            "num_heads": 4,
            "decoder_start_token_id": 0,
            "pad_token_id": 0,
            "eos_token_id": 1,
        },
        vision_config={**size, **_LAYERS, "patch_embed_hidden_size": 768, "seq_len": 64},
    )
    return Pix2StructForConditionalGeneration(config)


def voxtral() -> PreTrainedModel:
    """A token for each group of frames of a recording."""
    from transformers import VoxtralConfig, VoxtralForConditionalGeneration

    audio = {**_WIDTH, **_LAYERS, "num_mel_bins": 16, "max_source_positions": 32}
    config = VoxtralConfig(audio_config=audio, text_config=_LLAMA, audio_token_id=IMAGE)
    return VoxtralForConditionalGeneration(config)


def wav2vec2() -> PreTrainedModel:
    """Characters, one a frame (CTC)."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    config = Wav2Vec2Config(
        **_WIDTH,
        **_LAYERS,
        conv_dim=[32, 32],
        conv_kernel=[40, 8],
        conv_stride=[20, 4],
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        vocab_size=32,
        pad_token_id=0,
    )
    return Wav2Vec2ForCTC(config)


def sam() -> PreTrainedModel:
    """Masks of a picture: no embedding comes out."""
    from transformers import SamConfig, SamModel

    vision = {**_VISION, "image_size": 64, "patch_size": 16, "output_channels": 32}
    vision |= {"window_size": 2, "global_attn_indexes": [1], "num_pos_feats": 16, "mlp_dim": 128}
    prompt = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    mask = {"hidden_size": 32, "mlp_dim": 64, "num_attention_heads": 4, "iou_head_hidden_dim": 32}
    config = SamConfig(
        vision_config=vision,
        prompt_encoder_config={**prompt, "image_embedding_size": 4},
        mask_decoder_config=mask,
    )
    return SamModel(config)


def musicgen() -> PreTrainedModel:
    """A decoder of four codes a frame."""
    from transformers import MusicgenConfig, MusicgenForConditionalGeneration

    text = {"model_type": "t5", "vocab_size": 99, "d_model": 64, "d_kv": 16, "d_ff": 128}
    audio = {"model_type": "encodec", "hidden_size": 16, "num_filters": 4, "codebook_size": 32}
    audio |= {"codebook_dim": 16, "upsampling_ratios": [4, 2], "sampling_rate": 1000}
    decoder = {"model_type": "musicgen_decoder", "vocab_size": 32, "hidden_size": 64}
    config = MusicgenConfig(
        text_encoder={**text, "num_layers": 2, "num_heads": 4, "pad_token_id": 0},
        audio_encoder={**audio, "target_bandwidths": [6.0], "num_lstm_layers": 1},
        decoder={
            **decoder,
            **_LAYERS,
            "ffn_dim": 128,
            "num_codebooks": 4,
            "max_position_embeddings": 128,
            "pad_token_id": 0,
            "bos_token_id": 1,
        },
    )
    return MusicgenForConditionalGeneration(config)


def fuyu() -> PreTrainedModel:
    """Patches of a layout of its own, which only its own processor makes."""
    from transformers import FuyuConfig, FuyuForCausalLM

    text = {**_LANGUAGE, "model_type": "persimmon"}
    text.pop("num_key_value_heads")
    config = FuyuConfig(
        **_TEXT, **_WIDTH, image_size=60, patch_size=30, image_token_id=IMAGE, text_config=text
    )
    return FuyuForCausalLM(config)


PICTURED: dict[str, Callable[[], PreTrainedModel]] = {
    "llava": llava,
    "llava-next": llava_next,
    "qwen2-vl": qwen2_vl,
    "gemma3": gemma3,
    "idefics3": idefics3,
    "mllama": mllama,
    "blip2": blip2,
    "kosmos2": kosmos2,
    "pix2struct": pix2struct,
}
"""Models that write text about a picture -> the function that builds them."""

OTHERS: dict[str, Callable[[], PreTrainedModel]] = {
    "voxtral": voxtral,
    "wav2vec2": wav2vec2,
    "sam": sam,
    "musicgen": musicgen,
    "fuyu": fuyu,
}


def save(kind: str, folder: Path) -> Path:
    """Write a model of a kind as a checkpoint into `folder`, and return that."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = {**PICTURED, **OTHERS}[kind]()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
    model.save_pretrained(folder)
    return folder


def add_tokenizer(folder: Path, special: Iterable[str] = ()) -> Any:
    """Write a tokenizer of single characters with 99 tokens, `special` ones last; return it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<s>", "</s>", "<unk>", "\u2581", *map(chr, range(33, 123))]
    last = list(special)
    words += [f"<{number}>" for number in range(99 - len(words) - len(last))]
    vocabulary = {word: number for number, word in enumerate(words + last)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=last,
    )
    made.save_pretrained(folder)
    return made


def add_image_processor(folder: Path, size: int) -> None:
    """Write a processor that makes square pictures."""
    from transformers import ViTImageProcessorPil

    ViTImageProcessorPil(size={"height": size, "width": size}).save_pretrained(folder)


def add_feature_extractor(folder: Path, bins: int) -> None:
    """Write the processor of recordings that Whisper has."""
    from transformers import WhisperFeatureExtractor

    WhisperFeatureExtractor(feature_size=bins, chunk_length=1).save_pretrained(folder)
