"""Quanto's weight tensors from their stored parts."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from optimum.quanto import QModuleMixin, WeightQBitsTensor, WeightQBytesTensor
from optimum.quanto.tensor.grouped import grouped_shape
from optimum.quanto.tensor.packed import PackedTensor

Parts = Mapping[str, torch.Tensor]

_ALIGNMENT = 64
"""What torch's own allocations are aligned to, in bytes."""


def expected_parts(module: QModuleMixin) -> dict[str, tuple[int, ...]]:
    """Name the stored parts of a module's weight, each with its shape."""
    shape = tuple(module.weight.shape)
    if module.weight_qtype.bits == 8:
        # a single row is quantized per tensor
        return {"_data": shape, "_scale": _scale_shape(shape) if shape[0] > 1 else ()}
    grouped = _grouped_shape(module)
    packed = math.ceil(grouped[0] * module.weight_qtype.bits / 8)
    scale = _scale_shape(grouped)
    return {"_data._data": (packed, *grouped[1:]), "_scale": scale, "_shift": scale}


def assemble(module: QModuleMixin, parts: Parts) -> torch.nn.Parameter:
    """Make the weight of a module, in the kernel that Quanto selects for its device and dtype.

    The parts are used in place wherever that kernel takes them as they are stored.
    """
    make = _assemble_bytes if module.weight_qtype.bits == 8 else _assemble_bits
    return torch.nn.Parameter(make(module, parts), requires_grad=False)


def _assemble_bytes(module: QModuleMixin, parts: Parts) -> WeightQBytesTensor:
    scale = parts["_scale"]
    return WeightQBytesTensor.create(
        module.weight_qtype,
        axis=None if scale.ndim == 0 else 0,
        size=module.weight.size(),
        stride=module.weight.stride(),
        data=_align(parts["_data"], scale.dtype),
        scale=scale,
    )


def _align(data: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Copy data that torch's bfloat16 x int8 kernel would crash on.

    It loads the weight with aligned instructions, and a file aligns its tensors to 8 bytes only.
    """
    picky = data.device.type == "cpu" and data.dtype == torch.int8 and dtype == torch.bfloat16
    return data.clone() if picky and data.data_ptr() % _ALIGNMENT else data


def _assemble_bits(module: QModuleMixin, parts: Parts) -> WeightQBitsTensor:
    grouped = _grouped_shape(module)
    stride = torch.empty(grouped, device="meta").stride()
    bits = module.weight_qtype.bits
    return WeightQBitsTensor.create(
        module.weight_qtype,
        axis=0,
        group_size=module.weight_group_size,
        size=module.weight.size(),
        stride=module.weight.stride(),
        data=PackedTensor(parts["_data._data"], bits, torch.Size(grouped), stride),
        scale=parts["_scale"],
        shift=parts["_shift"],
    )


def _grouped_shape(module: QModuleMixin) -> tuple[int, ...]:
    shape = tuple(module.weight.shape)
    if module.weight_group_size is None:
        return shape
    return tuple(grouped_shape(shape, 0, module.weight_group_size))


def _scale_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *(1 for _ in shape[1:]))
