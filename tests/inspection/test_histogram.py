"""Histograms: every value is in one bin, and quantiles are those of the sorted values."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from plain import states
from safetensors.torch import load_file

from quantcli.api.inspecting import inspect
from quantcli.errors import UsageError
from quantcli.inspection import values
from quantcli.inspection.histogram import QUANTILES, bin_bounds, quantile

NAME = "encoder.layer.1.output.dense.weight"


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(values, "BLOCK", 1000)


def assert_distribution(found, edges, tensor):
    flat = tensor.double().flatten()
    assert found.count == flat.numel() == sum(found.bins)
    assert found.not_finite == 0
    assert found.zeros == int((flat == 0).sum())
    assert (found.minimum, found.maximum) == (flat.min().item(), flat.max().item())
    assert found.mean == pytest.approx(flat.mean().item(), rel=1e-6, abs=1e-9)
    assert found.deviation == pytest.approx(flat.std(correction=0).item(), rel=1e-6)
    # a value on an edge may be on either side of it in floating point
    inner = torch.tensor(edges[1:-1], dtype=torch.float64)
    expected = torch.bincount(torch.bucketize(flat, inner, right=True), minlength=len(edges) - 1)
    assert (torch.tensor(found.bins) - expected).abs().sum() <= 0.001 * flat.numel()
    resolution = (edges[-1] - edges[0]) / 2**16
    sorted_values = flat.sort().values
    for share in QUANTILES:
        near = round(share * (flat.numel() - 1))
        low, high = sorted_values[max(0, near - 2)], sorted_values[min(len(flat) - 1, near + 2)]
        assert low - resolution <= found.quantiles[share] <= high + resolution


@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_both_sides_of_a_quantized_tensor(tiny_model, freeze, kind, weights):
    name = NAME if kind == "bert" else "transformer.h.0.mlp.c_fc.weight"
    original = tiny_model(kind)
    frozen = freeze(original, weights)
    found = inspect(frozen, against=original, histogram=name)
    assert [tensor.name for tensor in found.tensors] == [name]
    assert found.histogram.tensor == name
    before, after = states(original, frozen)
    edges = found.histogram.edges
    assert_distribution(found.histogram.original, edges, before[name])
    assert_distribution(found.histogram.values, edges, after[name])
    stored = load_file(frozen / "model.safetensors")
    codes = 16 if weights == "int4" else len(stored[f"{name}._data"].view(torch.uint8).unique())
    assert found.histogram.values.distinct == codes
    assert found.histogram.original.distinct is None


def test_an_original_alone(tiny_model):
    folder = tiny_model("bert")
    found = inspect(folder, histogram=NAME)
    assert found.histogram.original is None
    assert found.error is None
    tensor = load_file(folder / "model.safetensors")[NAME]
    assert_distribution(found.histogram.values, found.histogram.edges, tensor)


def test_an_alias_shows_the_values_of_its_owner(tiny_model, frozen):
    for folder in (tiny_model("llama-tied"), frozen("llama-tied", "int8", embeddings="int8")):
        alias = inspect(folder, histogram="lm_head").histogram
        owner = inspect(folder, histogram="model.embed_tokens.weight").histogram
        assert alias.values == owner.values


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        pytest.param(
            "encoder.layer.1.output.dense", "2 tensors", f"one of: {NAME}", id="a module of two"
        ),
        pytest.param(
            NAME.replace("dense", "dnse"), "no tensor", f"did you mean {NAME}?", id="typo"
        ),
        pytest.param("xyz", "no tensor", "names are like", id="nothing like it"),
    ],
)
def test_names_that_are_no_tensor(tiny_model, name, said, hint):
    with pytest.raises(UsageError) as raised:
        inspect(tiny_model("bert"), histogram=name)
    assert said in raised.value.message
    assert raised.value.hint.startswith(hint)


def test_a_constant_and_an_integer(tiny_model):
    found = inspect(
        tiny_model("resnet"), histogram="*embedder.embedder.normalization.num_batches_tracked"
    ).histogram
    assert sum(found.values.bins) == 1
    assert found.values.minimum == found.values.maximum == 0
    assert found.edges[0] < 0 < found.edges[-1]


def test_outliers_do_not_hide_the_others():
    counts = [0] * 65536
    counts[0] = counts[-1] = 1
    for index in range(32000, 32200):
        counts[index] = 1000
    bounds = bin_bounds(counts, 24)
    assert (bounds[0], bounds[-1]) == (0, 65536)
    widths = {stop - start for start, stop in pairwise(bounds[1:-1])}
    assert len(widths) == 1
    assert widths.pop() <= 10
    assert len(bounds) == 25


def test_quantiles_of_counts():
    assert quantile([1, 1, 1, 1], (0.0, 4.0), 0.5) == 2.0
    assert quantile([0, 4, 0, 0], (0.0, 4.0), 0.25) == 1.25
    assert quantile([1, 0, 0, 1], (0.0, 4.0), 1.0) == 4.0
