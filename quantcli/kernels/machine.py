"""What the CPU can do, and from how many rows on which way is the faster one."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Up to how many rows of inputs the packed kernels are taken; above, weights are unpacked.

    Measured as in `make bench`, experiment products: bfloat16, 4096 x 4096 and 1536 x 576.
    """

    int8_rows: int
    int4_rows: int


_COSTS = {"AVX512": Costs(int8_rows=16, int4_rows=64)}
"""The instruction sets that were measured. With any other, Quanto's own way is taken."""


_OWN = _COSTS.get(torch.backends.cpu.get_cpu_capability())


def costs() -> Costs | None:
    """Return those of this CPU, None if they are not known."""
    return _OWN


def has_int8_products() -> bool:
    """Return whether the CPU multiplies bytes fast: oneDNN does it without, but slower than floats.

    That is AVX-512 VNNI.
    """
    from quantcli.upstream.torch import has_vnni

    return costs() is not None and has_vnni()
