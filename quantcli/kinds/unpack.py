"""Unpack int4 and int2 without a compiler.

Quanto's CPU kernel compiles itself into site-packages at its first call. The same values come
from torch, so its extension is handed a library that is already there.
"""

from __future__ import annotations

import torch
from optimum.quanto.library.extensions import get_extension


class TorchLibrary:
    """What Quanto's C++ extension offers, in torch."""

    @staticmethod
    def unpack(packed: torch.Tensor, bits: int) -> torch.Tensor:
        """Unpack uint8 rows into `8 // bits` times as many, lowest bits first."""
        parts = 8 // bits
        unpacked = torch.empty(
            (parts * packed.shape[0], *packed.shape[1:]), dtype=torch.uint8, device=packed.device
        )
        for index, rows in enumerate(unpacked.chunk(parts)):
            torch.bitwise_right_shift(packed, bits * index, out=rows)
        return unpacked.bitwise_and_(2**bits - 1)


def use_torch_unpack() -> None:
    """Keep Quanto from compiling its extension; one that is loaded already stays."""
    extension = get_extension("quanto_cpp")
    if extension._lib is None:
        extension._lib = TorchLibrary
