"""optimum-quanto: its weight tensors, their parts, and its compiled extension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from optimum.quanto import (
    QModuleMixin,
    WeightQBitsTensor,
    WeightQBytesTensor,
    qtype,
    quantize_weight,
)
from optimum.quanto.library.extensions import get_extension
from optimum.quanto.tensor.packed import PackedTensor
from optimum.quanto.tensor.qtensor import QTensor

Parts = Mapping[str, torch.Tensor]
"""The stored tensors of a weight, by what follows the weight's name in a state dict."""


def is_quantized(value: object) -> bool:
    """Return whether a value is a quantized tensor."""
    return isinstance(value, QTensor)


def is_plain_grouped(weight: object) -> bool:
    """Return whether a weight is grouped, and in the layout that no kernel of torch computes."""
    return type(weight) is WeightQBitsTensor


def weight_parts(weight: Any) -> dict[str, torch.Tensor]:
    """Return the parts that a quantized weight is stored as."""
    parts: dict[str, torch.Tensor] = {}
    weight.save_to_state_dict(parts, "", keep_vars=True)
    return parts


def inner_tensors(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Return the tensors that a tensor subclass holds; none of a plain tensor."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return []
    names, _ = tensor.__tensor_flatten__()
    return [getattr(tensor, name) for name in names]


def row_weight(module: QModuleMixin, parts: Parts, *, shape: tuple[int, ...]) -> torch.Tensor:
    """Return the weight of a module whose rows have one scale each, from its parts."""
    scale = parts["_scale"]
    weight: torch.Tensor = WeightQBytesTensor.create(
        module.weight_qtype,
        axis=None if scale.ndim == 0 else 0,
        size=torch.Size(shape),
        stride=_strides(shape),
        data=parts["_data"],
        scale=scale,
    )
    return weight


def grouped_weight(
    module: QModuleMixin,
    parts: Parts,
    *,
    shape: tuple[int, ...],
    grouped: tuple[int, ...],
    plain: bool,
) -> torch.Tensor:
    """Return the weight of a module whose groups have a scale and a shift each, from its parts.

    `grouped` is the shape of the unpacked data. Quanto selects a layout for the weight's device
    and dtype, unless it is to be `plain`.
    """
    make = WeightQBitsTensor if plain else WeightQBitsTensor.create
    packed = PackedTensor(
        parts["_data._data"], module.weight_qtype.bits, torch.Size(grouped), _strides(grouped)
    )
    weight: torch.Tensor = make(
        module.weight_qtype,
        axis=0,
        group_size=module.weight_group_size,
        size=torch.Size(shape),
        stride=_strides(shape),
        data=packed,
        scale=parts["_scale"],
        shift=parts["_shift"],
    )
    return weight


def quantize_grouped(
    weight: torch.Tensor, kind: qtype, optimizer: Any, group_size: int | None
) -> dict[str, torch.Tensor]:
    """Quantize a whole weight by Quanto's own functions, and return its parts."""
    scale, shift = optimizer(weight, qtype=kind, axis=0, group_size=group_size)
    found = quantize_weight(
        weight,
        qtype=kind,
        axis=0,
        scale=scale,
        shift=shift,
        group_size=group_size,
        optimized=False,
    )
    return {"_data._data": found._data._data, "_scale": found._scale, "_shift": found._shift}


def use_library(library: Any) -> None:
    """Give Quanto's C++ extension a library, unless one is loaded already."""
    extension = get_extension("quanto_cpp")
    if extension._lib is None:
        extension._lib = library


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return torch.empty(shape, device="meta").stride()
