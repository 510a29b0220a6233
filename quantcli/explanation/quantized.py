"""Rows of a weight quantized by the functions that `quantize` runs, and mapped back by Quanto's."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from quantcli.kinds.layout import FrozenWeight, packed_rows
from quantcli.kinds.unpack import TorchLibrary, use_torch_unpack
from quantcli.kinds.weights import assemble
from quantcli.planning import TensorPlan
from quantcli.quantizers import blockwise
from quantcli.quantizers.whole import needs_whole, quantize_whole

Parts = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedRows:
    """Rows (rows, columns) in the dtype of the model, and what became of them.

    `codes` are not packed; `scale` and `shift` are repeated for each value, or broadcast to them.
    `stored_shift` is the one that is stored, which `restored` is computed with. `group_of` is the
    number of the group of each column.
    """

    values: torch.Tensor
    codes: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor | None
    stored_shift: torch.Tensor | None
    restored: torch.Tensor
    group_of: torch.Tensor


def needs_all_rows(tensor: TensorPlan) -> bool:
    """Return whether the scales of a quantized tensor depend on all of its rows."""
    optimizer = tensor.optimizer
    return tensor.weight_format.is_grouped and needs_whole(optimizer, tensor.grouped_shape)


def quantize_rows(values: torch.Tensor, tensor: TensorPlan) -> QuantizedRows:
    """Quantize rows (rows, columns) of a tensor that is planned to be quantized.

    All of its rows, if it `needs_all_rows`.
    """
    use_torch_unpack()
    if not tensor.weight_format.is_grouped:
        return _symmetric(values, tensor)
    if needs_all_rows(tensor):
        return _whole(values, tensor)
    return _affine(values, tensor)


def _symmetric(values: torch.Tensor, tensor: TensorPlan) -> QuantizedRows:
    weight_format = tensor.weight_format
    data = torch.empty(values.shape, dtype=getattr(torch, weight_format.storage))
    scale = values.new_empty(len(values), 1)
    wide = torch.float32 if values.dtype.itemsize == 2 else values.dtype
    blockwise.symmetric(
        values.clone(),
        weight_format,
        data,
        scale,
        torch.empty_like(values),
        torch.empty_like(values, dtype=wide),
    )
    stored = scale.reshape(()) if len(values) == 1 else scale
    return QuantizedRows(
        values=values,
        codes=data,
        scale=scale,
        shift=None,
        stored_shift=None,
        restored=_restored({"_data": data, "_scale": stored}, values, tensor, None),
        group_of=torch.zeros(values.shape[1], dtype=torch.int64),
    )


def _affine(values: torch.Tensor, tensor: TensorPlan) -> QuantizedRows:
    width = tensor.group_size or values.shape[1]
    groups = values.reshape(-1, width).clone()
    codes = torch.empty(groups.shape, dtype=torch.uint8)
    scale, shift = groups.new_empty(2, len(groups), 1)
    blockwise.affine(groups, tensor.weight_format, codes, scale, shift)
    stored = blockwise.tinygemm_shift(scale, shift) if tensor.uses_kernel else shift
    parts = {"_data._data": _packed(codes, tensor), "_scale": scale, "_shift": stored}

    def spread(part: torch.Tensor) -> torch.Tensor:
        return part.expand(-1, width).reshape(values.shape)

    return QuantizedRows(
        values=values,
        codes=codes.view(values.shape),
        scale=spread(scale),
        shift=spread(shift),
        stored_shift=spread(stored),
        restored=_restored(parts, values, tensor, tensor.group_size),
        group_of=torch.arange(values.shape[1]) // width,
    )


def _whole(values: torch.Tensor, tensor: TensorPlan) -> QuantizedRows:
    """Quantize a tensor of one group, which Quanto gives a scale for each of its last dimension."""
    weight_format, shape = tensor.weight_format, tensor.quantized_shape
    assert tensor.optimizer is not None, tensor.name
    parts = quantize_whole(
        values.reshape(shape), weight_format, tensor.group_size, tensor.optimizer
    )
    codes = TorchLibrary.unpack(parts["_data._data"], weight_format.bits)
    codes = codes[: tensor.grouped_shape[0]].reshape(values.shape)
    scale, shift = parts["_scale"], parts["_shift"]

    def spread(part: torch.Tensor) -> torch.Tensor:
        return part.expand(tensor.grouped_shape).reshape(values.shape)

    return QuantizedRows(
        values=values,
        codes=codes,
        scale=spread(scale),
        shift=spread(shift),
        stored_shift=spread(shift),
        restored=_restored(parts, values.reshape(shape), tensor, tensor.group_size).view(
            values.shape
        ),
        group_of=torch.arange(values.shape[1]) % scale.numel(),
    )


def _packed(codes: torch.Tensor, tensor: TensorPlan) -> torch.Tensor:
    rows = packed_rows(len(codes), tensor.weight_format)
    packed = torch.empty(rows, codes.shape[1], dtype=torch.uint8)
    blockwise.pack(codes.clone().split(rows), tensor.weight_format, packed)
    return packed


def _restored(
    parts: Parts, values: torch.Tensor, tensor: TensorPlan, group_size: int | None
) -> torch.Tensor:
    """Return what Quanto's `dequantize` makes of stored parts."""
    weight = FrozenWeight(
        weight_format=tensor.weight_format, shape=tuple(values.shape), group_size=group_size
    )
    found: torch.Tensor = assemble(weight, parts, plain=True).dequantize()
    return found.detach()
