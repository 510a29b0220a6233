"""A loaded model computes what the model that was frozen in memory computes, bit for bit."""

from __future__ import annotations

import freezing
import pytest
import tiny
import torch

import quantcli

WEIGHTS = ("int8", "int4", "int2", "float8", "float8_e5m2")
DTYPES = ("float32", "float16", "bfloat16")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", ["bert-classifier", "vit"])
def test_every_dtype(frozen, kind, weights, dtype):
    if (weights, dtype, kind) == ("int4", "bfloat16", "bert-classifier"):
        pytest.skip("Quanto itself cannot freeze this one: see test_group_sizes")
    directory, model = frozen(kind, weights, dtype)
    loaded = quantcli.load(directory)
    assert not loaded.training
    assert loaded.dtype == getattr(torch, dtype)
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("kind", sorted({*tiny.KINDS} - {"bert-classifier", "vit"}))
def test_every_kind(frozen, kind, weights):
    directory, model = frozen(kind, weights)
    loaded = quantcli.load(directory)
    assert type(loaded) is type(model)
    freezing.assert_same(freezing.run(loaded), freezing.run(model))
    freezing.assert_same(loaded.state_dict(), model.state_dict())
