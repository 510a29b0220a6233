"""Rows and groups quantized a block at a time, against Quanto's own functions."""

from __future__ import annotations

import pytest
import torch

from quantcli.formats import FORMATS, format_of
from quantcli.quantizers import blockwise

COLUMNS = [1, 7, 64, 130, 1000]
ROWS = sorted(found.qtype for found in FORMATS if found.bits == 8)
GROUPS = [found.qtype for found in FORMATS if found.is_grouped]
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def awkward_rows(columns, dtype):
    rows = torch.randn(12, columns).to(dtype)
    rows[1] = 0.5
    rows[2] *= 1e-4
    rows[3] = -rows[3].abs()
    rows[4] = 0
    return rows


def symmetric(rows, qtype):
    scratch, data = torch.empty_like(rows), torch.empty_like(rows, dtype=storage(qtype))
    scale = torch.empty(len(rows), 1, dtype=rows.dtype)
    wide = torch.empty_like(rows, dtype=torch.promote_types(rows.dtype, torch.float32))
    zero_rows = blockwise.symmetric(rows.clone(), format_of(qtype), data, scale, scratch, wide)
    return data, scale, zero_rows


def storage(qtype):
    return getattr(torch, format_of(qtype).storage)


def raw(tensor):
    return tensor.contiguous().view(torch.uint8)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("qtype", ROWS)
def test_symmetric(qtype, columns, dtype):
    from optimum.quanto import AbsmaxOptimizer, qtypes, quantize_weight

    rows = awkward_rows(columns, dtype)
    if qtype != "qint8":
        rows[4] = 1
    scale = AbsmaxOptimizer()(rows, qtype=qtypes[qtype], axis=0)
    expected = quantize_weight(rows, qtypes[qtype], 0, scale, optimized=False)
    data, scale, zero_rows = symmetric(rows, qtype)
    assert torch.equal(raw(data), raw(expected._data))
    assert torch.equal(raw(scale), raw(expected._scale))
    assert zero_rows == 0


@pytest.mark.parametrize("qtype", ["qfloat8_e4m3fn", "qfloat8_e5m2"])
def test_zero_rows_of_float8_become_zero_and_are_counted(qtype):
    rows = torch.randn(6, 33)
    rows[1] = 0
    rows[4] = -0.0
    data, scale, zero_rows = symmetric(rows, qtype)
    assert zero_rows == 2
    assert (scale[[1, 4]] == 0).all()
    assert data[[1, 4]].float().eq(0).all()
    others = [0, 2, 3, 5]
    assert torch.equal(raw(data[others]), raw(symmetric(rows[others], qtype)[0]))


def test_zero_rows_of_int8_are_stored_as_they_are():
    data, scale, zero_rows = symmetric(torch.zeros(3, 5), "qint8")
    assert (zero_rows, data.count_nonzero(), scale.count_nonzero()) == (0, 0, 0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("qtype", GROUPS)
@pytest.mark.parametrize("groups", [8, 9, 12], ids=lambda groups: f"{groups} groups")
def test_affine_and_pack(qtype, columns, dtype, groups):
    from optimum.quanto import MaxOptimizer, qtypes, quantize_weight

    rows, weight_format = awkward_rows(columns, dtype)[:groups], format_of(qtype)
    scale, shift = MaxOptimizer()(rows, qtypes[qtype], 0)
    expected = quantize_weight(rows, qtypes[qtype], 0, scale, shift, optimized=False)
    codes = torch.empty(groups, columns, dtype=torch.uint8)
    scale, shift = torch.empty(2, groups, 1, dtype=dtype)
    blockwise.affine(rows.clone(), weight_format, codes, scale, shift)
    packed = torch.empty(expected._data._data.shape, dtype=torch.uint8)
    blockwise.pack(codes.split(len(packed)), weight_format, packed)
    assert torch.equal(packed, expected._data._data)
    assert torch.equal(raw(scale), raw(expected._scale))
    assert torch.equal(raw(shift), raw(expected._shift))
