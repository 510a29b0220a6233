"""Products with int8 rows, of which each has one scale."""

from __future__ import annotations

import torch

from quantcli.kernels.machine import costs
from quantcli.kernels.scratch import scratch
from quantcli.upstream.torch import int8_kernel

BLOCK = 1 << 21
"""Values that are cast at a time. They stay in the caches until they are multiplied."""

_ALIGNED = 16
"""What the columns must be a multiple of for the kernel."""

_KERNEL = int8_kernel()

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
        found = _in_blocks(inputs, self._data)
        if bias is None:
            return found.mul_(self._scale)
        return torch.addcmul(bias, found, self._scale, out=found)


def _in_blocks(inputs: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    rows, columns = data.shape
    step = min(rows, max(1, BLOCK // columns))
    buffer = scratch((step, columns), inputs.dtype)
    if step == rows:
        return inputs @ buffer.copy_(data).T
    found = inputs.new_empty(len(inputs), rows)
    for start in range(0, rows, step):
        part = data[start : start + step]
        block = buffer[: len(part)].copy_(part)
        found[:, start : start + step] = inputs @ block.T
    return found
