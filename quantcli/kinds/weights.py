"""Quanto's weight tensors from their stored parts."""

from __future__ import annotations

import math

import torch
from optimum.quanto import QModuleMixin

from quantcli.dtypes import dtype_name
from quantcli.formats import WeightFormat, format_of
from quantcli.kinds.layout import DATA, grouped_shape, part_shapes
from quantcli.upstream.quanto import (
    Parts,
    grouped_weight,
    inner_tensors,
    is_quantized,
    row_weight,
)

ALIGNMENT = 64
"""What torch aligns its own tensors to, in bytes."""


def format_of_module(module: QModuleMixin) -> WeightFormat:
    """Return the format of a quantized module's weight."""
    return format_of(module.weight_qtype.name)


def expected_parts(module: QModuleMixin) -> dict[str, tuple[int, ...]]:
    """Return the shape of each stored part of a quantized module's weight."""
    shape = tuple(module.weight.shape)
    return part_shapes(shape, format_of_module(module), module.weight_group_size)


def assemble(module: QModuleMixin, parts: Parts) -> torch.nn.Parameter:
    """Make the weight of a module, in the layout that Quanto selects for its device and dtype.

    The parts are used in place wherever that layout takes them as they are stored.
    """
    make = _assemble_groups if format_of_module(module).is_grouped else _assemble_rows
    return torch.nn.Parameter(make(module, parts), requires_grad=False)


def _assemble_rows(module: QModuleMixin, parts: Parts) -> torch.Tensor:
    aligned = _align(parts["_data"], parts["_scale"].dtype)
    return row_weight(module, {**parts, "_data": aligned}, shape=tuple(module.weight.shape))


def _assemble_groups(module: QModuleMixin, parts: Parts) -> torch.Tensor:
    shape, group_size = tuple(module.weight.shape), module.weight_group_size
    scale = parts["_scale"]
    # Quanto would select a kernel of the CPU that refuses these weights
    plain = scale.device.type == "cpu" and format_of_module(module).kernel_fails(
        shape, dtype_name(scale.dtype), group_size
    )
    grouped = grouped_shape(shape, group_size)
    return grouped_weight(module, parts, shape=shape, grouped=grouped, plain=plain)


def _align(data: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Copy data that torch's bfloat16 x int8 kernel would crash on.

    It loads the weight with aligned instructions. quantcli aligns the tensors that it writes; other
    writers may align theirs to 8 bytes only.
    """
    crashes = data.device.type == "cpu" and data.dtype == torch.int8 and dtype == torch.bfloat16
    return data.clone() if crashes and data.data_ptr() % ALIGNMENT else data


def align_tensors(model: torch.nn.Module) -> None:
    """Copy the unquantized tensors of a model that are not aligned as torch aligns its own.

    Kernels sum in another order from an unaligned address, and then the last bit differs.
    """
    for module in model.modules():
        tensors = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        for tensor in tensors:
            if is_quantized(tensor) or tensor.device.type != "cpu":
                continue
            if tensor.data_ptr() % ALIGNMENT:
                tensor.data = tensor.data.clone()


def nbytes(tensor: torch.Tensor) -> int:
    """Return the bytes of a tensor; of a quantized one, those of its parts."""
    inner = inner_tensors(tensor)
    return sum(map(nbytes, inner)) if inner else tensor.nbytes


def stored_bytes(module: torch.nn.Module) -> int | None:
    """Return the bytes that the weight of a quantized module takes, None for any other module."""
    if not isinstance(module, QModuleMixin):
        return None
    size: int = module.weight.element_size()
    return sum(
        math.prod(shape) * (1 if name.endswith(DATA) else size)
        for name, shape in expected_parts(module).items()
    )
