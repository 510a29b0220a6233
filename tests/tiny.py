"""Tiny models of many kinds, with random weights, made in milliseconds and saved as checkpoints.

Their widths make int4 and int2 meet each way of grouping a row: groups of 128 (256, 384 and 768
columns), 96 (192), 64 (320), 32 (160), and one group a row (up to 128 columns, or 588, which no
group size divides).
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transformers import PreTrainedModel

VOCABULARY = 99
"""Tokens of every text model: an odd number, so that no embedding is a neat matrix."""

_TEXT: dict[str, Any] = {"vocab_size": VOCABULARY, "pad_token_id": 0}
_SPECIAL: dict[str, Any] = {**_TEXT, "bos_token_id": 1, "eos_token_id": 2}


def _bert(**kind: Any) -> dict[str, Any]:
    return {
        **_TEXT,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        **kind,
    }


def bert() -> PreTrainedModel:
    """Linear layers only; hidden 128 has one group a row."""
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig(**_bert()))


def bert_classifier() -> PreTrainedModel:
    """A head of three labels: a weight with few rows."""
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(BertConfig(**_bert(num_labels=3)))


def bert_masked() -> PreTrainedModel:
    """A decoder that is tied to the embedding, and its bias to another."""
    from transformers import BertConfig, BertForMaskedLM

    return BertForMaskedLM(BertConfig(**_bert()))


def clip() -> PreTrainedModel:
    """Two towers of different width, a patch convolution, non-persistent buffers."""
    from transformers import CLIPConfig, CLIPModel

    layers: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 4}
    text = {**_SPECIAL, **layers, "hidden_size": 64, "intermediate_size": 256}
    vision = {**layers, "hidden_size": 128, "intermediate_size": 384}
    vision |= {"image_size": 28, "patch_size": 14}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=64))


def _llama(*, tied: bool) -> PreTrainedModel:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **_SPECIAL,
        hidden_size=160,
        intermediate_size=320,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config)


def llama_untied() -> PreTrainedModel:
    """A head of its own; groups of 32 and 64."""
    return _llama(tied=False)


def llama_tied() -> PreTrainedModel:
    """The head is the embedding."""
    return _llama(tied=True)


def gpt2() -> PreTrainedModel:
    """Conv1D, which Quanto does not see, and a tied head."""
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"n_embd": 128, "n_layer": 2, "n_head": 4, "n_positions": 64}
    return GPT2LMHeadModel(GPT2Config(**_SPECIAL, **shape))


def _t5() -> PreTrainedModel:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        **_TEXT,
        decoder_start_token_id=0,
        d_model=256,
        d_kv=32,
        d_ff=384,
        num_layers=2,
        num_heads=5,
        feed_forward_proj="gated-gelu",
    )
    return T5ForConditionalGeneration(config)


def t5_tied() -> PreTrainedModel:
    """One tensor is the embedding of both sides and the head."""
    return _t5()


def t5_untied() -> PreTrainedModel:
    """Both sides share an embedding; the head is a tensor of its own (flan-t5)."""
    import torch

    model = _t5()
    model.lm_head.weight = torch.nn.Parameter(torch.randn(VOCABULARY, 256))
    return model


def vit() -> PreTrainedModel:
    """A classifier of images; groups of 96."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=192,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=16,
        num_labels=5,
    )
    return ViTForImageClassification(config)


def resnet() -> PreTrainedModel:
    """Convolutions, and BatchNorm with its buffers, one of them an integer."""
    from transformers import ResNetConfig, ResNetForImageClassification

    shape = {"embedding_size": 16, "hidden_sizes": [32, 64], "depths": [1, 1], "num_labels": 5}
    return ResNetForImageClassification(ResNetConfig(**shape))


def bit() -> PreTrainedModel:
    """Convolutions of a subclass with a forward of its own, which Quanto replaces by plain ones."""
    from transformers import BitConfig, BitModel

    shape = {"embedding_size": 32, "hidden_sizes": [64, 128], "depths": [1, 1], "num_groups": 8}
    return BitModel(BitConfig(**shape))


def mixtral() -> PreTrainedModel:
    """Experts that are one 3-D parameter in memory and a tensor for each in the checkpoint."""
    from transformers import MixtralConfig, MixtralForCausalLM

    config = MixtralConfig(
        **_SPECIAL,
        hidden_size=128,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        max_position_embeddings=64,
    )
    return MixtralForCausalLM(config)


def whisper() -> PreTrainedModel:
    """Conv1d, which Quanto does not see, fixed positions, and a tied head."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    side = {"layers": 2, "attention_heads": 4, "ffn_dim": 384}
    config = WhisperConfig(
        **_SPECIAL,
        **{
            f"{name}_{key}": value for name in ("encoder", "decoder") for key, value in side.items()
        },
        decoder_start_token_id=1,
        begin_suppress_tokens=None,
        d_model=128,
        num_mel_bins=16,
        max_source_positions=32,
        max_target_positions=32,
    )
    return WhisperForConditionalGeneration(config)


KINDS: dict[str, Callable[[], PreTrainedModel]] = {
    "bert": bert,
    "bert-classifier": bert_classifier,
    "bert-masked": bert_masked,
    "clip": clip,
    "llama-untied": llama_untied,
    "llama-tied": llama_tied,
    "gpt2": gpt2,
    "t5-untied": t5_untied,
    "t5-tied": t5_tied,
    "vit": vit,
    "resnet": resnet,
    "bit": bit,
    "mixtral": mixtral,
    "whisper": whisper,
}
"""Every kind of model -> the function that builds it."""


def build(kind: str, dtype: str = "float32") -> PreTrainedModel:
    """Return a model of a kind, in eval mode. Its weights depend on the kind alone."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(kind.encode()))
        model = KINDS[kind]()
        _shake(model)
    return model.to(getattr(torch, dtype)).eval()


def save(
    kind: str, folder: Path, *, dtype: str = "float32", max_shard_size: str | None = None
) -> Path:
    """Write a model of a kind as a checkpoint into `folder`, and return that."""
    model = build(kind, dtype)
    model.save_pretrained(folder, **({"max_shard_size": max_shard_size} if max_shard_size else {}))
    if kind == "t5-untied":
        _say_untied(folder / "config.json")
    return folder


def _shake(model: PreTrainedModel) -> None:
    """Move norms, biases and running statistics off their ones and zeros: those hide errors."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand_like(buffer))


def _say_untied(path: Path) -> None:
    # transformers 5 forces a T5 config to say "tied", so a published one cannot be saved by it.
    config = json.loads(path.read_text())
    config.pop("scale_decoder_outputs", None)
    config["tie_word_embeddings"] = False
    path.write_text(json.dumps(config, indent=2))
