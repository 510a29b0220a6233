"""Quanto's weight tensors from their stored parts."""

from __future__ import annotations

import torch

from quantcli.dtypes import dtype_name
from quantcli.kinds.layout import FrozenWeight, grouped_shape
from quantcli.upstream.quanto import (
    Parts,
    grouped_weight,
    inner_tensors,
    is_quantized,
    row_weight,
)

ALIGNMENT = 64
"""What torch aligns its own tensors to, in bytes."""


def assemble(weight: FrozenWeight, parts: Parts, *, plain: bool = False) -> torch.nn.Parameter:
    """Make a quantized parameter, in the layout that Quanto selects for its device and dtype.

    The parts are used in place wherever that layout takes them as they are stored. In the `plain`
    layout they always are.
    """
    if weight.weight_format.is_grouped:
        return torch.nn.Parameter(_from_groups(weight, parts, plain), requires_grad=False)
    return torch.nn.Parameter(_from_rows(weight, parts), requires_grad=False)


def _from_rows(weight: FrozenWeight, parts: Parts) -> torch.Tensor:
    aligned = _align(parts["_data"], parts["_scale"].dtype)
    qtype = str(weight.weight_format.qtype)
    return row_weight(qtype, {**parts, "_data": aligned}, shape=weight.shape)


def _from_groups(weight: FrozenWeight, parts: Parts, plain: bool) -> torch.Tensor:
    scale = parts["_scale"]
    # Quanto would select a kernel of the CPU that refuses these weights
    refused = scale.device.type == "cpu" and weight.weight_format.kernel_fails(
        weight.shape, dtype_name(scale.dtype), weight.group_size
    )
    return grouped_weight(
        str(weight.weight_format.qtype),
        parts,
        shape=weight.shape,
        grouped=grouped_shape(weight.shape, weight.group_size),
        group_size=weight.group_size,
        plain=plain or refused,
    )


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
