"""Quanto's weight tensors from their stored parts."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from optimum.quanto import QModuleMixin, WeightQBitsTensor, WeightQBytesTensor
from optimum.quanto.tensor.grouped import grouped_shape
from optimum.quanto.tensor.packed import PackedTensor
from optimum.quanto.tensor.qtensor import QTensor

Parts = Mapping[str, torch.Tensor]

ALIGNMENT = 64
"""What torch's own allocations are aligned to, in bytes."""

_TINYGEMM_ROWS = 16


def expected_parts(module: QModuleMixin) -> dict[str, tuple[int, ...]]:
    """Name the stored parts of a module's weight, each with its shape."""
    shape = tuple(module.weight.shape)
    if module.weight_qtype.bits == 8:
        # a single row is quantized per tensor
        return {"_data": shape, "_scale": _scale_shape(shape) if shape[0] > 1 else ()}
    grouped = _grouped_shape(module)
    packed = math.ceil(grouped[0] * module.weight_qtype.bits / 8)
    # the axis of a single group is given up: all dimensions but the last are reduced
    single = (*(1 for _ in grouped[1:]), grouped[-1])
    scale = _scale_shape(grouped) if grouped[0] > 1 else single
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

    It loads the weight with aligned instructions. Quantcli's own files are aligned; others' may
    align their tensors to 8 bytes only.
    """
    picky = data.device.type == "cpu" and data.dtype == torch.int8 and dtype == torch.bfloat16
    return data.clone() if picky and data.data_ptr() % ALIGNMENT else data


def align_tensors(model: torch.nn.Module) -> None:
    """Copy the unquantized tensors of a model that lie in memory as torch would not put them.

    Kernels sum in another order from an unaligned address, and then the last bit differs.
    """
    for module in model.modules():
        for tensor in [*module._parameters.values(), *module._buffers.values()]:
            if tensor is None or isinstance(tensor, QTensor) or tensor.device.type != "cpu":
                continue
            if tensor.data_ptr() % ALIGNMENT:
                tensor.data = tensor.data.clone()


def nbytes(tensor: torch.Tensor) -> int:
    """Return the bytes that a tensor takes; those of its parts, where it is a quantized one."""
    if hasattr(tensor, "__tensor_flatten__"):
        names, _ = tensor.__tensor_flatten__()
        return sum(nbytes(getattr(tensor, name)) for name in names)
    return tensor.nbytes


def stored_bytes(module: torch.nn.Module) -> int | None:
    """Return the bytes that the weight of a quantized module takes, None for any other module."""
    if not isinstance(module, QModuleMixin):
        return None
    size: int = module.weight.element_size()
    return sum(
        math.prod(shape) * (1 if name.endswith("_data") else size)
        for name, shape in expected_parts(module).items()
    )


def _assemble_bits(module: QModuleMixin, parts: Parts) -> WeightQBitsTensor:
    grouped = _grouped_shape(module)
    stride = torch.empty(grouped, device="meta").stride()
    bits = module.weight_qtype.bits
    # TinyGemm on a CPU, which Quanto selects for some bfloat16 weights, refuses other row counts
    on_cpu = parts["_scale"].device.type == "cpu"
    plain = on_cpu and module.weight.shape[0] % _TINYGEMM_ROWS != 0
    make = WeightQBitsTensor if plain else WeightQBitsTensor.create
    return make(
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
