"""The numbers of an explanation are those that `quantize` stores, and its bounds hold."""

from __future__ import annotations

import math

import pytest
import tiny
import torch
from optimum.quanto import MaxOptimizer, qint4, quantize_weight
from quanto_reference import stored

import quantcli
from quantcli.explanation.bounds import spacing
from quantcli.explanation.explanation import stored_index
from quantcli.explanation.measures import compare
from quantcli.explanation.quantized import quantize_rows
from quantcli.explanation.spans import spans
from quantcli.formats import QUANTIZED, format_named
from quantcli.kinds.unpack import TorchLibrary
from quantcli.planning import TensorPlan

ALL = 10**6
"""More rows and columns than any tiny weight has."""

WEIGHTS = {
    "linear": ("llama-untied", "model.layers.0.mlp.down_proj.weight"),
    "groups-of-128": ("bert", "encoder.layer.1.output.dense.weight"),
    "one-group-a-row": ("bert", "encoder.layer.0.attention.self.query.weight"),
    "convolution": ("clip", "vision_model.embeddings.patch_embedding.weight"),
    "transposed": ("gpt2", "transformer.h.1.mlp.c_proj.weight"),
    "experts": ("mixtral", "model.layers.0.mlp.experts.gate_up_proj"),
}
"""A kind of tiny model and one of its weights."""


def numbers(grid, dtype):
    return torch.tensor(grid, dtype=torch.float64).to(dtype)


def explained(folder, name, weights, **options):
    """Return the explanation of all values of a weight."""
    return quantcli.explain(
        folder, name, weights=weights, at=(0, 0), rows=ALL, columns=ALL, **options
    )


CASES = [
    pytest.param(*WEIGHTS[kind], weights, dtype, id=f"{kind}-{weights}-{dtype}")
    for kind in WEIGHTS
    for weights in QUANTIZED
    for dtype in ("float32", "float16", "bfloat16")
    if dtype == "float32" or kind in ("groups-of-128", "transposed")
]
"""Every kind of weight and dtype; in 16 bits two kinds."""


@pytest.mark.parametrize(("kind", "name", "weights", "dtype"), CASES)
def test_equal_what_is_stored(tiny_model, frozen, kind, name, weights, dtype):
    found = explained(tiny_model(kind, dtype), name, weights)
    tensors = stored(frozen(kind, weights, dtype))
    own = getattr(torch, dtype)
    scale = tensors[f"{name}._scale"].flatten()
    assert torch.equal(numbers([span.scale for span in found.spans], own), scale)
    if not format_named(weights).is_grouped:
        data = tensors[f"{name}._data"]
        codes = numbers(found.codes, torch.float64).to(data.dtype)
        assert torch.equal(codes.view(torch.uint8), data.reshape(codes.shape).view(torch.uint8))
        expected = scale[:, None] * data.reshape(codes.shape).to(own)
        assert torch.equal(numbers(found.restored, own), expected)
        assert {span.zero_point for span in found.spans} == {0}
        return
    shift = tensors[f"{name}._shift"].flatten()
    assert torch.equal(numbers([span.shift for span in found.spans], own), shift)
    packed = tensors[f"{name}._data._data"].flatten(1)
    data = TorchLibrary.unpack(packed, format_named(weights).bits)
    codes = numbers(found.codes, torch.uint8).view(-1, data.shape[-1])
    assert torch.equal(codes, data[: len(codes)])
    expected = scale[:, None] * codes - shift[:, None]
    assert torch.equal(numbers(found.restored, own), expected.view(found.rows, found.columns))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("weights", QUANTIZED)
def test_no_error_is_above_its_limit(tiny_model, weights, dtype):
    found = explained(tiny_model("llama-untied", dtype), "model.layers.0.mlp.down_proj", weights)
    for span in found.spans:
        assert span.clipped == 0
        assert 0 < span.max_error <= span.limit
        assert span.half_step <= span.limit
        if dtype == "float32":
            assert 0.5 < span.share < 1.001


def test_what_bfloat16_rounds_is_told(tiny_model):
    found = explained(tiny_model("llama-untied", "bfloat16"), "lm_head", "int8")
    above = [span for span in found.spans if span.max_error > span.half_step]
    assert above
    assert any("bfloat16" in notice and "2^-8" in notice for notice in found.notices)


@pytest.fixture
def skewed(tmp_path):
    """Return a model with a weight whose values all are large, in a dtype."""

    def make(dtype):
        model = tiny.build("bert", dtype)
        model.encoder.layer[1].output.dense.weight.data += 4
        model.save_pretrained(tmp_path / dtype)
        return tmp_path / dtype

    return make


def test_the_kernels_layout_moves_the_shift(skewed):
    name = "encoder.layer.1.output.dense"
    found = explained(skewed("bfloat16"), name, "int4")
    assert any(span.shift != -span.minimum for span in found.spans)
    assert all(span.max_error <= span.limit for span in found.spans)
    assert any("shift" in notice for notice in found.notices)
    found = explained(skewed("float16"), name, "int4")
    assert all(span.shift == -span.minimum for span in found.spans)
    assert not any("shift" in notice for notice in found.notices)


def test_zero_may_be_outside_of_a_group(skewed):
    found = explained(skewed("float32"), "encoder.layer.1.output.dense", "int4")
    assert not any(span.has_zero for span in found.spans)
    assert {span.zero_point for span in found.spans} == {0}  # round(shift / S) is far below
    assert all(span.shift / span.scale < -1 for span in found.spans)


@pytest.mark.parametrize(
    "dtype",
    [
        pytest.param(torch.float8_e4m3fn, id="e4m3fn"),
        pytest.param(torch.float8_e5m2, id="e5m2"),
    ],
)
def test_spacing_is_that_of_all_numbers(dtype):
    every = torch.arange(127, dtype=torch.uint8).view(dtype).double()
    every = every[every.isfinite()]
    apart = every[1:] - every[:-1]
    assert torch.equal(spacing(every[:-1], dtype), apart)
    middle = (every[1:] + every[:-1]) / 2
    assert torch.equal(spacing(-middle, dtype), apart)


@pytest.mark.parametrize("weights", ["float16", "bfloat16"])
def test_a_cast_is_within_half_of_the_spacing(tiny_model, weights):
    found = explained(tiny_model("bert"), "encoder.layer.0.output.dense", weights)
    assert (found.method, found.codes, found.spans) == ("cast", None, ())
    original = numbers(found.original, torch.float32)
    expected = original.to(getattr(torch, weights)).double()
    assert torch.equal(numbers(found.restored, torch.float64), expected)
    errors = numbers(found.errors, torch.float64)
    assert torch.equal(errors, expected - original.double())
    share = (errors.abs() / numbers(found.half_steps, torch.float64)).max()
    assert 0.9 < share <= 1
    assert found.comparisons[0].dtype == weights


def test_a_cast_to_the_models_own_dtype_is_exact(tiny_model):
    found = quantcli.explain(tiny_model("bert", "bfloat16"), weights="bfloat16")
    assert found.max_error == 0
    assert found.comparisons[0].sqnr is None
    assert "bfloat16 already" in found.notices[0]


@pytest.mark.parametrize("weights", ["int4", "int2"])
def test_the_textbooks_zero_point(tiny_model, weights):
    found = explained(tiny_model("bert"), "encoder.layer.0.output.dense", weights)
    high = 2 ** format_named(weights).bits - 1
    for span in found.spans:
        assert span.has_zero
        assert span.zero_point == round(-span.minimum / span.scale)
        assert 0 <= span.zero_point <= high
        assert abs(span.scale * high - (span.maximum - span.minimum)) < 1e-6


def test_bits_count_the_scales(tiny_model):
    folder = tiny_model("bert")
    name = "encoder.layer.0.output.dense"  # rows of 384: three groups of 128
    bits = {w: explained(folder, name, w).comparisons[0].bits for w in ("int8", "int4", "int2")}
    assert bits == {"int8": 8 + 32 / 384, "int4": 4 + 64 / 128, "int2": 2 + 64 / 128}


def test_sqnr_is_in_decibels():
    values, columns = torch.tensor([[3.0, 4.0]]), slice(0, 1)
    found = compare("int8", 8, values, 1.1 * values, columns)
    assert (found.sqnr, found.row_sqnr) == (pytest.approx(20, abs=1e-4),) * 2
    found = compare("int8", 8, values, torch.tensor([[3.0, 5.0]]), columns)
    assert (found.sqnr, found.row_sqnr) == (None, pytest.approx(10 * math.log10(25)))
    assert found.max_error == 0


def planned(shape, weights):
    """Return the plan of a weight without groups."""
    qtype = format_named(weights).qtype
    return TensorPlan(
        name="weight",
        module="",
        kind="Conv2d",
        action="quantize",
        dtype="float32",
        shape=shape,
        quantized_shape=shape,
        qtype=qtype,
        optimizer="max",
    )


def test_a_weight_of_one_group_has_a_scale_for_each_of_its_last_dimension():
    weight = torch.randn(1, 7, 3, 3)
    found = quantize_rows(weight.view(1, -1), planned((1, 7, 3, 3), "int4"))
    scale, shift = MaxOptimizer()(weight, qtype=qint4, axis=0)
    expected = quantize_weight(weight, qint4, 0, scale, shift, optimized=False)
    assert torch.equal(found.restored, expected.dequantize().view(1, -1))
    facts = [*spans(found, format_named("int4"), 0, range(10, 12))]
    assert [span.columns for span in facts] == [range(1, 63, 3), range(2, 63, 3)]
    assert [span.scale for span in facts] == scale.flatten()[1:].tolist()
    assert facts[0].maximum == weight[..., 1].max()


def test_a_row_of_equal_values_comes_back_as_it_was():
    rows = torch.stack([torch.zeros(8), torch.full((8,), -0.5), torch.arange(8.0)])
    found = quantize_rows(rows, planned((3, 8), "int2"))
    assert torch.equal(found.restored[:2], rows[:2])
    facts = [*spans(found, format_named("int2"), 0, range(8))]
    assert [span.zero_point for span in facts] == [None, None, 0]
    assert [span.share for span in facts[:2]] == [0, 0]
    found = quantize_rows(rows, planned((3, 8), "float8"))
    assert torch.equal(found.restored[0], rows[0])
    assert [span.clipped for span in spans(found, format_named("float8"), 0, range(8))] == [0] * 3


def test_a_scale_that_float16_cannot_hold_clips():
    rows = torch.full((2, 8), 1e-3, dtype=torch.float16)
    found = quantize_rows(rows, planned((2, 8), "float8_e5m2"))
    facts = [*spans(found, format_named("float8_e5m2"), 0, range(8))]
    assert all(span.clipped == 8 or span.max_error <= span.limit for span in facts)


@pytest.mark.parametrize(
    ("shape", "transposed"),
    [
        pytest.param((4, 5), False, id="matrix"),
        pytest.param((4, 5), True, id="transposed"),
        pytest.param((4, 3, 2, 2), False, id="convolution"),
        pytest.param((2, 3, 4), True, id="transposed-experts"),
    ],
)
def test_where_a_value_is_stored(shape, transposed):
    stored_values = torch.arange(float(torch.Size(shape).numel())).view(shape)
    rows = stored_values.transpose(-1, -2) if transposed else stored_values
    for position, value in enumerate(rows.reshape(-1)):
        assert stored_values[stored_index(shape, position, transposed=transposed)] == value
