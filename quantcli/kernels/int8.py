"""Products with int8 rows, of which each has one scale."""

from __future__ import annotations

import torch

from quantcli.kernels.machine import costs
from quantcli.kernels.scratch import scratch
from quantcli.upstream.torch import int8_kernel, scaled_product

BLOCK = 1 << 21
"""Values that are cast at a time. They stay in the caches until they are multiplied."""

_ALIGNED = 16
"""What the columns must be a multiple of for the kernel."""

_KERNEL = int8_kernel()

_SCALED = scaled_product()

DTYPES = (torch.float32, torch.bfloat16)
"""What is computed in. In float16 a sum of products that are not scaled yet could overflow."""


class Product:
    """Multiplies with data (n, k) and scale (n, 1), in float32 or bfloat16.

    Up to `few` rows of inputs are multiplied by torch's kernel.
    """

    def __init__(self, data: torch.Tensor, scale: torch.Tensor) -> None:
        self._data = data
        self._scale = scale.flatten()
        known = costs()
        packed = scale.dtype == torch.bfloat16 and data.shape[1] % _ALIGNED == 0
        self.few = known.int8_rows if known is not None and packed else 0

    def __call__(self, inputs: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Return inputs (m, k) @ data' * scale' + bias, in the dtype of the inputs.

        For few rows in bfloat16 torch's own kernel reads each byte once. For more rows the values
        are cast a block at a time, which is exact, and the result is scaled.
        """
        if len(inputs) <= self.few:
            found: torch.Tensor = _KERNEL(inputs, self._data, self._scale)
            return found if bias is None else found.add_(bias)
        if torch.compiler.is_compiling():
            found = inputs @ self._data.to(inputs.dtype).T * self._scale
            return found if bias is None else found + bias
        return self._in_blocks(inputs, bias)

    def _in_blocks(self, inputs: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        rows, columns = self._data.shape
        step = min(rows, max(1, BLOCK // columns))
        buffer = scratch((step, columns), inputs.dtype)
        if step == rows:
            return _scaled(inputs, buffer.copy_(self._data), self._scale, bias)
        found = inputs.new_empty(len(inputs), rows)
        for start in range(0, rows, step):
            part = slice(start, start + step)
            values = self._data[part]
            block = buffer[: len(values)].copy_(values)
            own = None if bias is None else bias[part]
            found[:, part] = _scaled(inputs, block, self._scale[part], own)
        return found


def _scaled(
    inputs: torch.Tensor, values: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """Return inputs @ values' * scale + bias; in bfloat16 the product is rounded once, scaled."""
    if inputs.dtype is torch.bfloat16:
        found = _SCALED(inputs, scale[None], values, None, "mul")
        return found if bias is None else found.add_(bias)
    found = inputs @ values.T
    return found.mul_(scale) if bias is None else torch.addcmul(bias, found, scale, out=found)
