"""A weight in groups that is kept as torch's int4 kernel takes it."""

from __future__ import annotations

import ast
from typing import Any

import torch
from optimum.quanto import WeightQBitsTensor, qtypes

from quantcli.kernels import int4
from quantcli.kernels.int4 import Packed
from quantcli.upstream.names import relies_on
from quantcli.upstream.quanto import regrouped, weight_parts
from quantcli.upstream.torch import map_leaves

_BITS = "optimum.quanto.WeightQBitsTensor"


@relies_on(f"{_BITS}.__new__", f"{_BITS}.__torch_dispatch__", to="run int4 weights")
class PackedWeight(WeightQBitsTensor):  # type: ignore[misc]
    """Takes the place of Quanto's weight, with its codes in the layout of the kernel alone.

    Scale and shift are kept, so that it is stored as it was. For whatever else than a product is
    asked of it, Quanto's own weight is made again.
    """

    @staticmethod
    def __new__(cls: type, *weight: Any, zeros: torch.Tensor) -> Any:
        """Return a tensor without data: see `WeightQBitsTensor` for the arguments."""
        del zeros
        return WeightQBitsTensor.__new__(cls, *weight)

    def __init__(self, *weight: Any, zeros: torch.Tensor) -> None:
        # its own init would take the data for codes that are to be packed
        self._qtype, self._axis, self._group_size = weight[:3]
        self._data, self._scale, self._shift = weight[5:]
        self._zeros = zeros

    @classmethod
    def of(cls, weight: WeightQBitsTensor) -> PackedWeight:
        """Pack Quanto's weight (n, k)."""
        data = weight_parts(weight)["_data._data"]
        codes, zeros = int4.pack(
            data, weight._scale, weight._shift, tuple(weight.shape), weight._qtype.bits
        )
        return cls(
            weight._qtype,
            weight._axis,
            weight._group_size,
            weight.size(),
            weight.stride(),
            codes,
            weight._scale,
            weight._shift,
            zeros=zeros,
        )

    def packed(self) -> Packed:
        """Return what the kernel takes."""
        groups = self._scale.numel() // self.shape[0]
        return int4.packed(self._data, self._zeros, self._qtype.bits, groups)

    def weight_qbits_tensor(self) -> WeightQBitsTensor:
        """Return Quanto's own weight; Quanto calls it to store one."""
        return regrouped(self, int4.unpack(self.packed()))

    def dequantize(self) -> torch.Tensor:
        """Return the values, as Quanto computes them."""
        return self.weight_qbits_tensor().dequantize()  # type: ignore[no-any-return]

    def __tensor_flatten__(self) -> tuple[list[str], dict[str, str]]:
        names, meta = super().__tensor_flatten__()
        return [*names, "_zeros"], meta

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Any], meta: dict[str, str], *_: Any) -> PackedWeight:
        read = {key: ast.literal_eval(value) for key, value in meta.items() if key != "qtype"}
        return PackedWeight(
            qtypes[meta["qtype"]],
            read["axis"],
            read["group_size"],
            torch.Size(read["size"]),
            tuple(read["stride"]),
            inner["_data"],
            inner["_scale"],
            inner["_shift"],
            zeros=inner["_zeros"],
        )

    @classmethod
    def __torch_dispatch__(
        cls, op: Any, types: Any, args: tuple[Any, ...], kwargs: Any = None
    ) -> Any:
        """Detach it, or run an operation on Quanto's own weight."""
        if op.overloadpacket is torch.ops.aten.detach:
            return super().__torch_dispatch__(op, types, args, kwargs)
        return op(*map_leaves(_plain, args), **map_leaves(_plain, kwargs or {}))


def _plain(value: Any) -> Any:
    return value.weight_qbits_tensor() if isinstance(value, PackedWeight) else value
