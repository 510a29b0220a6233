"""Products of int8 rows with inputs that are quantized to int8 as well, each row by its maximum.

oneDNN multiplies unsigned bytes with signed ones by AVX-512 VNNI, so the inputs are stored with a
zero point of 128. Symmetric, dynamic, per token: as torchao does it.
"""

from __future__ import annotations

import torch

from quantcli.kernels import int8
from quantcli.kernels.scratch import scratch
from quantcli.process import release_mapped

ZERO_POINT, LARGEST = 128, 127

SMALLEST = 1e-30
"""What stands for the maximum of a row of zeros: its inverse is finite."""

MIDDLE = 1.5 * 2**23 + ZERO_POINT
"""What is added to a value so that float32 rounds it to a code, which is then its lowest byte."""

_KERNEL = torch.ops.onednn.qlinear_pointwise.default


class Product:
    """Multiplies with data (n, k) and scale (n, 1), which oneDNN packs at the first product.

    The few rows that another kernel multiplies faster are not quantized.
    """

    def __init__(self, data: torch.Tensor, scale: torch.Tensor) -> None:
        self._data, self._scale = data, scale.flatten()
        self._exact = int8.Product(data, scale)
        self._packed: tuple[torch.Tensor, ...] | None = None

    def __call__(self, inputs: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Return inputs (m, k) @ data' * scale' + bias, in the dtype of the inputs.

        Inputs that are not finite give outputs that are not.
        """
        if len(inputs) <= self._exact.few:
            return self._exact(inputs, bias)
        if torch.compiler.is_compiling():
            return self._simulated(inputs, bias)
        data, scale, zeros, middle = self._packed or self._pack()
        shape, dtype = tuple(inputs.shape), inputs.dtype
        values = scratch(shape, torch.float32)
        # torch has a function for this norm, which takes several times as long
        reach = torch.abs(inputs, out=values if dtype is torch.float32 else None)
        reach = reach.amax(dim=1, keepdim=True).float().clamp_(min=SMALLEST)
        given = inputs if dtype is torch.float32 else values.copy_(inputs)
        torch.addcmul(middle, given, reach.reciprocal(), value=LARGEST, out=values)
        codes = scratch(shape, torch.uint8).copy_(values.view(torch.int32))
        found: torch.Tensor = _KERNEL(
            codes, 1.0, ZERO_POINT, data, scale, zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        if bias is None:
            return found.mul_(reach).to(dtype)
        return torch.addcmul(bias, found, reach, out=found).to(dtype)

    def _simulated(self, inputs: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Compute the same in floating point, for compilers, to which packed data are opaque."""
        step = inputs.abs().amax(dim=1, keepdim=True).float().clamp(min=SMALLEST) / LARGEST
        codes = (inputs / step).round()
        found = codes @ (self._data.float() * self._scale[:, None].float()).T * step
        return (found if bias is None else found + bias).to(inputs.dtype)

    def _pack(self) -> tuple[torch.Tensor, ...]:
        self._packed = (
            torch.ops.onednn.qlinear_prepack(self._data, None),
            self._scale.float() / LARGEST,
            torch.zeros(len(self._data), dtype=torch.int64),
            # a row, as torch is slow where all operands are of different shapes
            torch.full(self._data.shape[1:], MIDDLE),
        )
        release_mapped([(self._data.data_ptr(), self._data.nbytes)])
        return self._packed
