"""Unpack int4 and int2 without a compiler.

Quanto's CPU kernel compiles itself into site-packages at its first call. Torch gives the same
values, so Quanto's extension gets this library instead.
"""

from __future__ import annotations

import torch

from quantcli.upstream.quanto import use_library


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
    use_library(TorchLibrary)
