"""Products with quantized weights, computed by the fastest kernels that torch has for them.

Quanto computes exactly and slowly. Here the result differs from Quanto's by rounding alone, unless
activations are to be quantized. What is chosen where is decided by `runtime` and `machine`.
"""

from __future__ import annotations

from quantcli.kernels.runtime import ACTIVATIONS, KERNELS, QUANTO, Runtime

__all__ = ["ACTIVATIONS", "KERNELS", "QUANTO", "Runtime"]
