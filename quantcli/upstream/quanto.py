"""Private names of optimum-quanto: its weight tensors, their parts, and its compiled extension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from quantcli.upstream.names import relies_on

if TYPE_CHECKING:
    import torch
    from optimum.quanto import qtype

Parts = Mapping[str, "torch.Tensor"]
"""The stored tensors of a weight, by what follows the weight's name in a state dict."""

_PACKED = "optimum.quanto.tensor.packed.PackedTensor"
_TINYGEMM = "optimum.quanto.tensor.weights.tinygemm.TinyGemmWeightQBitsTensor"
_TENSOR = "optimum.quanto.tensor.qtensor.QTensor"


@relies_on(_TENSOR, to="find quantized weights")
def is_quantized(value: object) -> bool:
    """Return whether a value is a quantized tensor."""
    from optimum.quanto.tensor.qtensor import QTensor

    return isinstance(value, QTensor)


@relies_on(f"{_TENSOR}.save_to_state_dict", to="move quantized weights")
def weight_parts(weight: Any) -> dict[str, torch.Tensor]:
    """Return the parts that a quantized weight is stored as."""
    parts: dict[str, torch.Tensor] = {}
    weight.save_to_state_dict(parts, "", keep_vars=True)
    return parts


def inner_tensors(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Return the tensors that a tensor subclass holds: data first; none of a plain tensor."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return []
    names, _ = tensor.__tensor_flatten__()
    return [getattr(tensor, name) for name in names]


@relies_on("optimum.quanto.WeightQBytesTensor.create", to="load quantized weights")
def row_weight(qtype: str, parts: Parts, *, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a weight whose rows have one scale each, from its parts."""
    import torch
    from optimum.quanto import WeightQBytesTensor, qtypes

    scale = parts["_scale"]
    weight: torch.Tensor = WeightQBytesTensor.create(
        qtypes[qtype],
        axis=None if scale.ndim == 0 else 0,
        size=torch.Size(shape),
        stride=_strides(shape),
        data=parts["_data"],
        scale=scale,
    )
    return weight


@relies_on(_PACKED, "optimum.quanto.WeightQBitsTensor.create", to="load quantized weights")
def grouped_weight(
    qtype: str,
    parts: Parts,
    *,
    shape: tuple[int, ...],
    grouped: tuple[int, ...],
    group_size: int | None,
    plain: bool,
) -> torch.Tensor:
    """Return a weight whose groups have a scale and a shift each, from its parts.

    `grouped` is the shape of the unpacked data. Quanto selects a layout for the weight's device
    and dtype, unless it is to be `plain`.
    """
    import torch
    from optimum.quanto import WeightQBitsTensor, qtypes
    from optimum.quanto.tensor.packed import PackedTensor

    make = WeightQBitsTensor if plain else WeightQBitsTensor.create
    packed = PackedTensor(
        parts["_data._data"], qtypes[qtype].bits, torch.Size(grouped), _strides(grouped)
    )
    weight: torch.Tensor = make(
        qtypes[qtype],
        axis=0,
        group_size=group_size,
        size=torch.Size(shape),
        stride=_strides(shape),
        data=packed,
        scale=parts["_scale"],
        shift=parts["_shift"],
    )
    return weight


@relies_on(_TINYGEMM, f"{_TINYGEMM}._scale_shift", to="run int4 weights")
def tinygemm_parts(weight: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return codes, and scales with zeros, of a weight that Quanto packed; None if it did not."""
    from optimum.quanto.tensor.weights.tinygemm import TinyGemmWeightQBitsTensor

    if type(weight) is not TinyGemmWeightQBitsTensor:
        return None
    return weight._data._data, weight._scale_shift


@relies_on(_PACKED, to="store int4 weights")
def regrouped(weight: Any, codes: torch.Tensor) -> Any:
    """Return Quanto's plain weight like another one, with codes in its own shape."""
    from optimum.quanto import WeightQBitsTensor
    from optimum.quanto.tensor.packed import PackedTensor

    size: int = weight._group_size or codes.shape[1]
    return WeightQBitsTensor(
        weight._qtype,
        weight._axis,
        weight._group_size,
        weight.size(),
        weight.stride(),
        PackedTensor.pack(codes.view(-1, size), weight._qtype.bits),
        weight._scale,
        weight._shift,
    )


def quantize_grouped(
    weight: torch.Tensor, kind: qtype, optimizer: Any, group_size: int | None
) -> dict[str, torch.Tensor]:
    """Quantize a whole weight by Quanto's own functions, and return its parts."""
    from optimum.quanto import quantize_weight

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
    return weight_parts(found)


@relies_on(
    "optimum.quanto.library.extensions.get_extension",
    "optimum.quanto.library.extensions.extension.Extension._lib",
    to="unpack weights without a compiler",
)
def use_library(library: Any) -> None:
    """Give Quanto's C++ extension a library, unless one is loaded already."""
    from optimum.quanto.library.extensions import get_extension

    extension = get_extension("quanto_cpp")
    if extension._lib is None:
        extension._lib = library


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    import torch

    return torch.empty(shape, device="meta").stride()
