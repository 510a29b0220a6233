"""Small models of layers that the tiny ones lack, and what a loaded frozen model computes with."""

from __future__ import annotations

import torch
import transformers

from quantcli.kinds.adapted import FrozenParameters
from quantcli.kinds.frozen import FrozenModule


def siglip():
    """An attention of torch, with one weight for queries, keys and values."""
    config = transformers.SiglipVisionConfig(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=1,
        num_attention_heads=4,
        image_size=28,
        patch_size=14,
    )
    return transformers.SiglipVisionModel(config)


def encodec():
    """An LSTM, weight norm, and transposed convolutions."""
    config = transformers.EncodecConfig(
        num_filters=4, hidden_size=32, codebook_dim=32, codebook_size=16, upsampling_ratios=[4, 2]
    )
    return transformers.EncodecModel(config)


def gpt_oss():
    """Experts whose weights are (experts, inputs, outputs)."""
    config = transformers.GptOssConfig(
        vocab_size=99,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        num_local_experts=4,
    )
    return transformers.GptOssForCausalLM(config)


def one_label():
    """A head of a single row, with columns in groups and without."""
    config = transformers.ViTConfig(
        hidden_size=384,
        intermediate_size=160,
        num_hidden_layers=1,
        num_attention_heads=4,
        image_size=32,
        patch_size=16,
        num_labels=1,
    )
    return transformers.ViTForImageClassification(config)


MODELS = {"siglip": siglip, "encodec": encodec, "gpt-oss": gpt_oss, "one-label": one_label}


def save(name, folder, dtype="float32"):
    """Save a model of the table with random weights, and return its folder."""
    torch.manual_seed(0)
    model = MODELS[name]()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    model.to(getattr(torch, dtype)).eval().save_pretrained(folder)
    return folder


def dense_state(model):
    """Return the state dict of a frozen model as if it had never been quantized.

    Every weight is what the module computes with, in the shape of the original. The frozen Conv1D
    is an ordinary linear layer: its weight is left (outputs, inputs).
    """
    found = dict(model.state_dict())
    for name, module in model.named_modules():
        weights = module.frozen_weights() if isinstance(module, FrozenModule) else ()
        for weight in weights:
            own = f"{name}.{weight}"
            for part in [each for each in found if each.startswith(f"{own}.")]:
                del found[part]
            if isinstance(module, FrozenParameters):
                found[own] = module.view(weight).dense()
            else:
                found[own] = getattr(module, weight).dequantize()
        if not isinstance(module, FrozenParameters):
            for scale in ("input_scale", "output_scale") if weights else ():
                found.pop(f"{name}.{scale}", None)
    return found
