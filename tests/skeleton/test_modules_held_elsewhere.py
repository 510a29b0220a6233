"""Modules that a forward takes from a plain list, where a replaced module would not be seen."""

from __future__ import annotations

import freezing
import pytest
import torch
import transformers

import quantcli


@pytest.fixture(scope="module")
def maskformer(tmp_path_factory):
    """Save a MaskFormer, whose pixel decoder keeps its layers in lists too."""
    torch.manual_seed(0)
    backbone = transformers.SwinConfig(
        embed_dim=24, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 2], window_size=2, image_size=64
    )
    decoder = transformers.DetrConfig(
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_queries=4,
    )
    config = transformers.MaskFormerConfig(
        fpn_feature_size=32,
        mask_feature_size=32,
        backbone_config=backbone,
        decoder_config=decoder,
    )
    folder = tmp_path_factory.mktemp("maskformer")
    transformers.MaskFormerModel(config).save_pretrained(folder)
    return folder


def test_they_keep_their_class_and_are_quantized(maskformer, freeze):
    plan = quantcli.plan(maskformer)
    decoder = [tensor for tensor in plan.quantized if ".decoder.fpn." in tensor.name]
    assert "parameter" in {tensor.frozen_as for tensor in decoder}
    original = transformers.MaskFormerModel.from_pretrained(maskformer).eval()
    loaded = quantcli.load(freeze(maskformer, "int8"))
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected, found = original(pixels), loaded(pixels)
    for name in ("pixel_decoder_last_hidden_state", "transformer_decoder_last_hidden_state"):
        one, other = expected[name].flatten(), found[name].flatten()
        assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.99, name


def test_experts_may_be_rows(tmp_path):
    """Doge has 16,384 experts, which are rows of embeddings."""
    config = transformers.DogeConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=99,
        is_moe=True,
        num_experts=4096,
        num_experts_per_tok=2,
        pad_token_id=0,
    )
    transformers.DogeForCausalLM(config).save_pretrained(tmp_path / "doge")
    frozen = quantcli.quantize(tmp_path / "doge", output=tmp_path / "out", embeddings="int8")
    found = freezing.run(quantcli.load(frozen))["logits"]
    expected = freezing.run(freezing.load_original(tmp_path / "doge").eval())["logits"]
    assert torch.nn.functional.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.99
