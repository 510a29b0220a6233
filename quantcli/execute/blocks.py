"""Rows of one entry, block by block: read, quantized or cast, and written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from quantcli.dtypes import is_float
from quantcli.errors import ModelError
from quantcli.execute.shard import ShardFile
from quantcli.execute.workspace import Reader, Workspace
from quantcli.kinds.layout import packed_rows
from quantcli.planning import TensorPlan
from quantcli.quantizers import blockwise
from quantcli.quantizers.whole import quantize_whole

BLOCK_BYTES = 1024 * 1024
"""A block stays in cache from its first operation to its last."""


@dataclass(frozen=True, slots=True)
class _Packing:
    """Which groups share bytes: packed row i holds row i of each part of the groups.

    `starts` are the first groups of the parts, `groups` is how many groups there are in all, each
    of `columns` values. The last part may end before the others.
    """

    starts: tuple[int, ...]
    groups: int
    columns: int

    @classmethod
    def of(cls, tensor: TensorPlan) -> _Packing:
        groups = tensor.grouped_shape[0]
        step = packed_rows(groups, tensor.weight_format)
        return cls(tuple(range(0, groups, step)), groups, tensor.numel // groups)

    def present(self, start: int, rows: range) -> int:
        """Return how many of the packed `rows` hold a group of the part that begins at `start`."""
        return max(0, min(len(rows), self.groups - start - rows.start))


class Worker:
    """Moves ranges of rows of one entry through a thread's workspace, block by block."""

    def __init__(
        self, tensor: TensorPlan, reader: Reader, shard: ShardFile, workspace: Workspace
    ) -> None:
        self._tensor = tensor
        self._reader = reader
        self._shard = shard
        self._workspace = workspace
        self._dtype: torch.dtype = getattr(torch, tensor.dtype)

    def copy(self, elements: range) -> None:
        """Copy or cast elements."""
        block = self._read("unit", elements.start, len(elements))
        check = self._tensor.is_parameter and is_float(self._tensor.dtype)
        if check and not _is_finite(block.amin(), block.amax()):
            self._refuse(block, elements.start)
        self._shard.write(self._tensor.stored[0].name, elements.start, block)

    def symmetric(self, rows: range) -> int:
        """Quantize rows with a scale each; returns how many of them are zeros."""
        tensor, weight_format = self._tensor, self._tensor.weight_format
        columns = tensor.numel // tensor.grouped_shape[0]
        data = self._take("unit", len(rows), columns, getattr(torch, weight_format.storage))
        scale = self._take("scale", len(rows), 1)
        zero_rows, is_16_bit = 0, self._dtype.itemsize == 2
        for start, count in _blocks(rows, BLOCK_BYTES // (columns * self._dtype.itemsize)):
            block = self._read("block", start * columns, count * columns).view(count, columns)
            part = slice(start - rows.start, start - rows.start + count)
            scratch = self._take("scratch", count, columns)
            wide = self._take("wide", count, columns, torch.float32) if is_16_bit else block
            zero_rows += blockwise.symmetric(
                block, weight_format, data[part], scale[part], scratch, wide
            )
        if not _is_finite(scale):
            self._refuse_rows([(rows.start, len(rows))], columns)
        self._write("_data", rows.start * columns, data)
        self._write("_scale", rows.start, scale)
        return zero_rows

    def affine(self, rows: range) -> None:
        """Quantize the groups that are packed into these rows."""
        packing = _Packing.of(self._tensor)
        count, columns = len(packing.starts), packing.columns
        packed = self._take("unit", len(rows), columns, torch.uint8)
        scale, shift = (self._take(name, count, len(rows)) for name in ("scale", "shift"))
        step = BLOCK_BYTES // (count * columns * self._dtype.itemsize)
        for start, length in _blocks(rows, step):
            block = range(start, start + length)
            part = slice(start - rows.start, start - rows.start + length)
            found = self._affine_block(packing, block, packed[part])
            scale[:, part], shift[:, part] = (values.view(-1, length) for values in found)
        if not _is_finite(scale, shift):
            parts = [(s + rows.start, packing.present(s, rows)) for s in packing.starts]
            self._refuse_rows(parts, columns)
        self._write("_data._data", rows.start * columns, packed)
        self._write_scales(packing, rows, scale, shift)

    def whole(self) -> None:
        """Quantize the whole entry by Quanto's own functions."""
        tensor = self._tensor
        assert tensor.optimizer is not None
        weight = torch.empty(tensor.quantized_shape, dtype=self._dtype)
        self._reader.read(0, weight.view(-1), Workspace())
        if not weight.isfinite().all():
            self._refuse(weight.view(-1), 0)
        parts = quantize_whole(weight, tensor.weight_format, tensor.group_size, tensor.optimizer)
        parts["_shift"] = self._frozen_shift(parts["_scale"], parts["_shift"])
        for part, values in parts.items():
            self._write(part, 0, values)

    def _affine_block(
        self, packing: _Packing, rows: range, packed: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Fill packed rows; returns the scales and shifts of their groups, part after part."""
        columns = packing.columns
        block = self._take("block", len(packing.starts) * len(rows), columns)
        for part, start in zip(block.split(len(rows)), packing.starts, strict=True):
            present = packing.present(start, rows)
            self._fill(part[:present], (start + rows.start) * columns)
            part[present:] = 0
        codes = self._take("codes", len(block), columns, torch.uint8)
        scale, shift = torch.empty(2, len(block), 1, dtype=self._dtype)
        weight_format = self._tensor.weight_format
        blockwise.affine(block, weight_format, codes, scale, shift)
        blockwise.pack(codes.split(len(rows)), weight_format, packed)
        return scale, shift

    def _write_scales(
        self, packing: _Packing, rows: range, scale: torch.Tensor, shift: torch.Tensor
    ) -> None:
        shift = self._frozen_shift(scale, shift)
        for index, start in enumerate(packing.starts):
            present = packing.present(start, rows)
            self._write("_scale", start + rows.start, scale[index, :present])
            self._write("_shift", start + rows.start, shift[index, :present])

    def _frozen_shift(self, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return blockwise.tinygemm_shift(scale, shift) if self._tensor.uses_kernel else shift

    def _write(self, part: str, start: int, values: torch.Tensor) -> None:
        self._shard.write(f"{self._tensor.name}.{part}", start, values)

    def _take(
        self, name: str, rows: int, columns: int, dtype: torch.dtype | None = None
    ) -> torch.Tensor:
        flat = self._workspace.take(name, dtype or self._dtype, rows * columns)
        return flat.view(rows, columns)

    def _fill(self, rows: torch.Tensor, start: int) -> None:
        if rows.numel():
            self._reader.read(start, rows.view(-1), self._workspace)

    def _read(self, name: str, start: int, count: int) -> torch.Tensor:
        block = self._workspace.take(name, self._dtype, count)
        self._reader.read(start, block, self._workspace)
        return block

    def _refuse_rows(self, parts: list[tuple[int, int]], columns: int) -> None:
        # the block itself was overwritten by its quantized values
        for first, count in parts:
            block = self._read("block", first * columns, count * columns)
            if not block.isfinite().all():
                self._refuse(block, first * columns)
        raise ModelError(
            f"{self._tensor.name}: the range of its values overflows {self._tensor.dtype}",
            hint="keep this module (--exclude), or use --rest bfloat16",
        )

    def _refuse(self, block: torch.Tensor, start: int) -> None:
        """Raise for a block that is not finite: the checkpoint is at fault, or the cast."""
        name, dtype = self._tensor.name, self._tensor.dtype
        original = torch.empty(block.numel(), dtype=torch.float64)
        self._reader.read(start, original, self._workspace)
        if original.isfinite().all():
            raise ModelError(
                f"{name}: {float(original.abs().max()):.4g} overflows {dtype}",
                hint="use bfloat16, which has the range of float32",
            )
        count = int((~original.isfinite()).sum())
        raise ModelError(
            f"{name}: weights are not finite ({count} NaN or infinite values "
            f"among {block.numel()} from element {start} on)",
            hint="the checkpoint is damaged; nothing was written",
        )


def _blocks(rows: range, step: int) -> Iterator[tuple[int, int]]:
    step = max(1, step)
    for start in range(rows.start, rows.stop, step):
        yield start, min(step, rows.stop - start)


def _is_finite(*values: torch.Tensor) -> bool:
    return all(math.isfinite(float(value.abs().max())) for value in values)
