"""Rows of a quantized matrix, dequantized without the others."""

from __future__ import annotations

from typing import Any

import torch

from quantcli.formats import WeightFormat, format_of
from quantcli.upstream.quanto import row_weight, weight_parts


def rows_at(weight: Any, index: torch.Tensor) -> torch.Tensor:
    """Return the rows (…, columns) at an index (…) of integers, with the values of `dequantize`."""
    parts = weight_parts(weight)
    weight_format = format_of(weight.qtype.name)
    if not weight_format.is_grouped:
        return _rows(parts, index, weight_format)
    return _grouped_rows(parts, index, weight_format, rows=weight.shape[0])


def rows_between(weight: Any, start: int, stop: int) -> torch.Tensor:
    """Return a range of rows: still quantized where rows have one scale each, else dequantized."""
    weight_format = format_of(weight.qtype.name)
    if weight_format.is_grouped or weight.axis is None:
        return rows_at(weight, torch.arange(start, stop, device=weight.device))
    found = {name: part[start:stop] for name, part in weight_parts(weight).items()}
    if stop - start == 1:
        found["_scale"] = found["_scale"].reshape(())
    shape = (stop - start, *weight.shape[1:])
    return row_weight(weight.qtype.name, found, shape=shape)


def _rows(
    parts: dict[str, torch.Tensor], index: torch.Tensor, weight_format: WeightFormat
) -> torch.Tensor:
    data, scale = parts["_data"], parts["_scale"]
    # as bytes: torch does not index every float8
    codes = data.view(torch.uint8)[index].view(data.dtype)
    scales = scale if scale.ndim == 0 else scale[index]
    is_float = weight_format.storage.startswith("float")
    return scales * (codes.to(scale.dtype) if is_float else codes)


def _grouped_rows(
    parts: dict[str, torch.Tensor], index: torch.Tensor, weight_format: WeightFormat, *, rows: int
) -> torch.Tensor:
    """Return rows whose groups are packed: byte row i holds groups i, i + n, i + 2n, ..."""
    packed, scale, shift = parts["_data._data"], parts["_scale"], parts["_shift"]
    per_row = max(scale.numel() // rows, 1) if scale.shape[0] > 1 else 1
    groups = index.reshape(-1, 1) * per_row + torch.arange(per_row, device=index.device)
    byte, part = groups % len(packed), groups // len(packed)
    bits = (part * weight_format.bits).to(torch.uint8).unsqueeze(-1)
    codes = (packed[byte] >> bits) & int(weight_format.maximum)
    if scale.shape[0] == 1:
        values = scale * codes - shift
    else:
        values = scale[groups] * codes
        values -= shift[groups]
    return values.reshape(*index.shape, -1)
