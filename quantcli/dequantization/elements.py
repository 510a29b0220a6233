"""Elements of an entry in the order of the original, dequantized and cast."""

from __future__ import annotations

import math

import torch

from quantcli.dequantization.entries import FrozenEntry
from quantcli.dequantization.values import EntryRows
from quantcli.dtypes import dtype_name
from quantcli.errors import ModelError
from quantcli.execute.blocks import BLOCK_BYTES
from quantcli.execute.workspace import Workspace


class Elements:
    """Reads ranges of the flat entry. A range of whole grains is read without copies.

    `grain` is the number of elements that belong together: a row, a matrix if it is transposed, one
    element if the entry is not quantized.
    """

    def __init__(self, entry: FrozenEntry, rows: EntryRows) -> None:
        self._entry = entry
        self._rows = rows
        self._dtype: torch.dtype = getattr(torch, entry.dtype)
        self.grain = grain_of(entry)

    def read(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out`, flat, with the elements from `start` on, cast to its dtype.

        Raises `ModelError` if a value overflows that dtype.
        """
        end = start + out.numel()
        first, last = start // self.grain, -(-end // self.grain)
        aligned = start % self.grain == 0 and end % self.grain == 0
        whole = out if aligned else torch.empty((last - first) * self.grain, dtype=out.dtype)
        for index in range(first, last) if self._entry.rows.transposed else ():
            at = (index - first) * self.grain
            self._matrix(index, whole[at : at + self.grain], workspace)
        if not self._entry.rows.transposed:
            self._fill(first, whole, workspace)
        if not aligned:
            begin = start - first * self.grain
            out.copy_(whole[begin : begin + out.numel()])
        check_cast(self._entry.name, self._dtype, out)

    def _fill(self, first: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out` with whole grains, block by block: they stay in cache while they are cast."""
        step = max(1, BLOCK_BYTES // max(1, self.grain * self._dtype.itemsize))
        grains = out.view(-1, self.grain)
        for start in range(0, len(grains), step):
            part = grains[start : start + step]
            self._values(first + start, part, workspace)

    def _values(self, first: int, out: torch.Tensor, workspace: Workspace) -> None:
        block = out
        if out.dtype != self._dtype:
            block = workspace.take("block", self._dtype, out.numel()).view(out.shape)
        self._rows.values(first, block, workspace)
        if block is not out:
            out.copy_(block)

    def _matrix(self, index: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out` with one matrix (inputs, outputs), whose rows are stored as columns."""
        inputs, outputs = self._entry.shape[-2:]
        columns = out.view(inputs, outputs)
        step = max(1, BLOCK_BYTES // max(1, inputs * self._dtype.itemsize))
        for start in range(0, outputs, step):
            count = min(step, outputs - start)
            block = workspace.take("rows", self._dtype, count * inputs).view(count, inputs)
            self._rows.values(index * outputs + start, block, workspace)
            columns[:, start : start + count] = block.t()


def check_cast(name: str, own: torch.dtype, values: torch.Tensor) -> None:
    """Raise `ModelError` if values that were cast from another dtype overflow their own."""
    if values.dtype == own or not values.numel():
        return
    if math.isinf(float(values.amin())) or math.isinf(float(values.amax())):
        raise ModelError(
            f"{name}: its values overflow {dtype_name(values.dtype)}",
            hint="use --dtype bfloat16, which has the range of float32, or leave --dtype out",
        )


def grain_of(entry: FrozenEntry) -> int:
    """Return how many elements of an entry are read together."""
    if entry.qtype is None:
        return 1
    if entry.rows.transposed:
        return max(1, math.prod(entry.shape[-2:]))
    return max(1, entry.columns)
