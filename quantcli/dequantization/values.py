"""Rows of an entry as its frozen module computes with them: codes, and dequantized values.

The arithmetic is that of optimum-quanto 0.2.7 (`QBytesDequantizer`, `QBitsDequantizer`), operation
for operation. Scales are per row, or per group within a row, so rows can be taken by themselves.
"""

from __future__ import annotations

import math
from functools import cache

import torch

from quantcli.dequantization.entries import FrozenEntry
from quantcli.execute.reading import FileReader
from quantcli.execute.workspace import Workspace
from quantcli.formats import WeightFormat
from quantcli.kinds.layout import grouped_shape, packed_rows
from quantcli.quantizers.blockwise import tinygemm_shift


class Rows8Bit:
    """An entry whose rows have one scale each, or all rows one."""

    def __init__(self, entry: FrozenEntry, parts: dict[str, FileReader]) -> None:
        self._data, self._scale = parts["_data"], parts["_scale"]
        self._dtype = getattr(torch, entry.dtype)
        self._columns = entry.columns
        self._single = entry.parts["_scale"].shape == ()
        self._table = _table(self._data.dtype, self._dtype)

    def codes(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out` (rows, columns), of the stored dtype, with the codes of rows from `start`."""
        self._data.read(start * self._columns, out.view(-1), workspace)

    def values(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out` (rows, columns) with scale * code."""
        codes = workspace.take("codes", self._data.dtype, out.numel()).view(out.shape)
        self.codes(start, codes, workspace)
        scale = torch.empty(1 if self._single else len(out), dtype=self._dtype)
        self._scale.read(0 if self._single else start, scale, workspace)
        if self._table is None:
            out.copy_(codes)
        else:
            index = workspace.take("index", torch.int32, codes.numel())
            index.copy_(codes.view(torch.uint8).view(-1))
            torch.index_select(self._table, 0, index, out=out.view(-1))
        out.mul_(scale.view(-1, 1))


@cache
def _table(storage: torch.dtype, dtype: torch.dtype) -> torch.Tensor | None:
    """Return the values of the 256 codes of a float8 in a dtype; None for int8.

    torch casts one float8 at a time: to look each up is six times faster.
    """
    if not storage.is_floating_point:
        return None
    return torch.arange(256, dtype=torch.uint8).view(storage).to(dtype)


class RowsPacked:
    """An entry whose rows are groups, several codes in a byte."""

    def __init__(self, entry: FrozenEntry, parts: dict[str, FileReader]) -> None:
        weight_format = entry.weight_format
        assert weight_format is not None, entry.name
        self._format: WeightFormat = weight_format
        self._parts = parts
        self._dtype = getattr(torch, entry.dtype)
        groups, *rest = grouped_shape(entry.rows.shape, entry.group_size)
        self._columns = math.prod(rest)
        self._per_row = entry.columns // self._columns if self._columns else 0
        self._step = packed_rows(groups, weight_format)
        # a single group has a scale for each place in its last dimension: see `layout`
        self._scales = rest[-1] if groups == 1 and rest else 1
        self._kernel = not entry.adapted and weight_format.uses_kernel(
            entry.rows.shape, entry.dtype, entry.group_size
        )

    def codes(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out` (rows, columns), in uint8, with the codes of rows from `start` on."""
        groups = out.view(-1, self._columns) if out.numel() else out
        first = start * self._per_row
        done = 0
        while done < len(groups) and out.numel():
            part, row = divmod(first + done, self._step)
            count = min(len(groups) - done, self._step - row)
            found = groups[done : done + count]
            self._parts["_data._data"].read(row * self._columns, found.view(-1), workspace)
            found.bitwise_right_shift_(self._format.bits * part)
            done += count
        out.bitwise_and_(int(self._format.maximum))

    def values(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out` (rows, columns) with scale * code - shift."""
        codes = workspace.take("codes", torch.uint8, out.numel()).view(out.shape)
        self.codes(start, codes, workspace)
        out.copy_(codes.view(torch.int8))  # the same values, which torch casts faster
        count = len(out) * self._per_row * self._scales
        scale, shift = (self._read(part, start, count, workspace) for part in ("_scale", "_shift"))
        if self._kernel:
            shift = tinygemm_shift(scale, shift)
        groups = out.view(-1, self._columns if self._scales == 1 else self._scales)
        width = 1 if self._scales == 1 else self._scales
        groups.mul_(scale.view(-1, width)).sub_(shift.view(-1, width))

    def _read(self, part: str, start: int, count: int, workspace: Workspace) -> torch.Tensor:
        values = torch.empty(count, dtype=self._dtype)
        self._parts[part].read(start * self._per_row * self._scales, values, workspace)
        return values


class RowsKept:
    """An entry that is not quantized."""

    def __init__(self, parts: dict[str, FileReader]) -> None:
        self._data = parts[""]

    def codes(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out` with the values as they are stored."""
        self.values(start, out, workspace)

    def values(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out` (rows, columns) with the values as they are stored."""
        # any number of columns will do
        self._data.read(start * out.shape[-1], out.view(-1), workspace)


EntryRows = Rows8Bit | RowsPacked | RowsKept


def rows_of(entry: FrozenEntry, parts: dict[str, FileReader]) -> EntryRows:
    """Return what reads rows of an entry, given readers of its stored parts."""
    weight_format = entry.weight_format
    if weight_format is None:
        return RowsKept(parts)
    return (RowsPacked if weight_format.is_grouped else Rows8Bit)(entry, parts)
