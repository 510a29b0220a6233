"""Layers that Quanto treats in its own way, from a checkpoint to what the loaded model computes."""

from __future__ import annotations

import freezing
import pytest
import torch
import transformers

import quantcli


def save(model, folder):
    """Save a model that has no kind in `tiny`, with its class in the config."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    model.eval().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_attention_of_torch(tmp_path, weights):
    """MultiheadAttention takes the weight out of its projection, a module of its own."""
    config = transformers.SiglipVisionConfig(
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=1,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
    )
    folder = save(transformers.SiglipVisionModel(config), tmp_path / "siglip")
    frozen = quantcli.quantize(folder, weights=weights, output=tmp_path / "out")
    assert "head.attention.out_proj" in {tensor.module for tensor in frozen.plan.quantized}
    loaded, pixels = quantcli.load(frozen), {"pixel_values": torch.randn(2, 3, 32, 32)}
    assert "head.attention.in_proj_weight" in {tensor.name for tensor in frozen.plan.quantized}
    expected = freezing.freeze_plainly(freezing.load_original(folder), weights)
    with torch.no_grad():
        torch.testing.assert_close(
            loaded(**pixels).pooler_output, expected(**pixels).pooler_output, atol=2e-6, rtol=0
        )
        plain = loaded(**pixels).pooler_output
    with torch.inference_mode():
        assert torch.allclose(loaded(**pixels).pooler_output, plain, atol=1e-5)


def test_a_subclass_that_computes_as_its_base_is_quantized(tmp_path):
    config = transformers.FalconConfig(
        hidden_size=128, num_hidden_layers=1, num_attention_heads=4, vocab_size=99
    )
    folder = save(transformers.FalconForCausalLM(config), tmp_path / "falcon")
    frozen = quantcli.quantize(folder, output=tmp_path / "out")
    assert "FalconLinear" in {tensor.kind for tensor in frozen.plan.quantized}
    from optimum.quanto import freeze, qint8, quantize

    expected = freezing.load_original(folder)
    quantize(expected, weights=qint8, exclude="lm_head")
    freeze(expected)
    freezing.assert_same(freezing.run(quantcli.load(frozen)), freezing.run(expected.eval()))


def test_a_subclass_that_transforms_its_weight_keeps_its_forward(tiny_model, tmp_path):
    folder = tiny_model("bit")
    frozen = quantcli.quantize(folder, output=tmp_path / "out")
    assert {"WeightStandardizedConv2d"} == {
        tensor.kind for tensor in frozen.plan.quantized if tensor.frozen_as == "parameter"
    }
    original = freezing.run(freezing.load_original(folder).eval())
    found = freezing.run(quantcli.load(frozen))
    freezing.assert_same(
        found, freezing.run(freezing.freeze_plainly(freezing.load_original(folder), "int8"))
    )
    cosine = torch.nn.functional.cosine_similarity(
        original["pooler_output"].flatten(), found["pooler_output"].flatten(), dim=0
    )
    assert cosine > 0.999


def test_zero_rows_in_float8_stay_zero(tiny_model, tmp_path):
    model = freezing.load_original(tiny_model("bert"))
    with torch.no_grad():
        model.encoder.layer[0].intermediate.dense.weight[3] = 0
    model.save_pretrained(tmp_path / "bert")
    frozen = quantcli.quantize(tmp_path / "bert", weights="float8", output=tmp_path / "out")
    assert frozen.zero_rows == {"encoder.layer.0.intermediate.dense.weight": 1}
    output = freezing.run(quantcli.load(frozen))["last_hidden_state"]
    assert output.isfinite().all()
