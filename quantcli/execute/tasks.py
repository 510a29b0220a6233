"""What one shard task does to one entry: read rows, quantize or cast them, write them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from quantcli.dtypes import BITS, is_float
from quantcli.errors import ModelError
from quantcli.execute.reading import Reader, Readers, Workspace
from quantcli.execute.shard import ShardFile
from quantcli.planning import TensorPlan
from quantcli.planning.layout import grouped_shape, packed_rows
from quantcli.quantizers import blockwise

BLOCK_BYTES = 1024 * 1024
"""A block stays in cache from its first operation to its last."""

UNIT_BYTES = 8 * 1024 * 1024
"""What one thread takes at a time. Its output is written at once: threads that write to one file
wait for each other, so they should do it seldom."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A range of rows of one entry; `rows` is None where the entry is taken whole."""

    tensor: TensorPlan
    rows: range | None

    @property
    def nbytes(self) -> int:
        """Bytes that are read, in the dtype of the model."""
        itemsize: int = getattr(torch, self.tensor.dtype).itemsize
        share = 1.0 if self.rows is None else len(self.rows) / max(1, _row_count(self.tensor))
        return round(self.tensor.numel * itemsize * share)


def units(tensor: TensorPlan, readers: Readers) -> Iterator[Unit]:
    """Cut an entry into units. What needs the whole tensor, or makes it, is one unit."""
    if not readers.is_streamed(tensor) or _needs_whole(tensor):
        yield Unit(tensor, None)
        return
    if tensor.numel == 0:
        return
    count = _row_count(tensor)
    nbytes = tensor.numel * getattr(torch, tensor.dtype).itemsize
    step = max(1, count * UNIT_BYTES // nbytes)
    for start in range(0, count, step):
        yield Unit(tensor, range(start, min(start + step, count)))


def batches(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Put small units together, so that handing them out costs less than doing them."""
    batch: list[Unit] = []
    for unit in units:
        batch.append(unit)
        if sum(unit.nbytes for unit in batch) >= BLOCK_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def run_unit(unit: Unit, readers: Readers, shard: ShardFile, workspace: Workspace) -> int:
    """Do one unit. Returns how many zero rows were mended (see `blockwise.symmetric`).

    Raises `ModelError` where the weights are not finite, or overflow the dtype they are cast to.
    """
    tensor = unit.tensor
    reader = readers.open(tensor)
    if unit.rows is None or unit.rows.start == 0:
        _write_constants(tensor, shard)
    if tensor.action == "quantize" and _needs_whole(tensor):
        _quantize_whole(tensor, reader, shard)
        return 0
    rows = unit.rows if unit.rows is not None else range(_row_count(tensor))
    worker = _Worker(tensor, reader, shard, workspace)
    if tensor.action != "quantize":
        return worker.copy(rows)
    assert tensor.qtype is not None
    return worker.affine(rows) if blockwise.is_affine(tensor.qtype) else worker.symmetric(rows)


def _write_constants(tensor: TensorPlan, shard: ShardFile) -> None:
    """Write the activation scales of a quantized module: 1, as weights alone are quantized."""
    for stored in tensor.stored:
        if stored.name.endswith((".input_scale", ".output_scale")):
            shard.write(stored.name, 0, torch.ones((), dtype=getattr(torch, stored.dtype)))


def _needs_whole(tensor: TensorPlan) -> bool:
    if tensor.qtype is None or not blockwise.is_affine(tensor.qtype):
        return False
    return tensor.optimizer == "hqq" or grouped_shape(tensor.shape, tensor.group_size)[0] == 1


def _row_count(tensor: TensorPlan) -> int:
    """Rows to share out: of the weight, of its packed data, or elements of what is copied."""
    if tensor.qtype is None:
        return tensor.numel
    rows = grouped_shape(tensor.shape, tensor.group_size)[0]
    return packed_rows(rows, BITS[tensor.qtype]) if blockwise.is_affine(tensor.qtype) else rows


class _Worker:
    """Moves ranges of rows of one entry through a thread's workspace, block by block."""

    def __init__(
        self, tensor: TensorPlan, reader: Reader, shard: ShardFile, workspace: Workspace
    ) -> None:
        self._tensor = tensor
        self._reader = reader
        self._shard = shard
        self._workspace = workspace
        self._dtype: torch.dtype = getattr(torch, tensor.dtype)

    def copy(self, elements: range) -> int:
        block = self._read("unit", elements.start, len(elements))
        check = self._tensor.is_parameter and is_float(self._tensor.dtype)
        if check and not _is_finite(block.amin(), block.amax()):
            self._refuse(block, elements.start)
        self._shard.write(self._tensor.stored[0].name, elements.start, block)
        return 0

    def symmetric(self, rows: range) -> int:
        tensor = self._tensor
        assert tensor.qtype is not None
        weight = f"{tensor.module}.weight"
        columns = tensor.numel // tensor.shape[0]
        dtype = blockwise.STORAGE[tensor.qtype][0]
        data = self._take("unit", len(rows), columns, dtype)
        scale = self._take("scale", len(rows), 1)
        mended = 0
        for start, count in _blocks(rows, BLOCK_BYTES // (columns * self._dtype.itemsize)):
            block = self._read("block", start * columns, count * columns).view(count, columns)
            part = slice(start - rows.start, start - rows.start + count)
            scratch = self._take("scratch", count, columns)
            mended += blockwise.symmetric(block, tensor.qtype, data[part], scale[part], scratch)
        if not _is_finite(scale):
            self._refuse_rows([(rows.start, len(rows))], columns)
        self._shard.write(f"{weight}._data", rows.start * columns, data)
        self._shard.write(f"{weight}._scale", rows.start, scale)
        return mended

    def affine(self, rows: range) -> int:
        """Quantize packed rows: each holds the values of matching rows of every part.

        The last part may end before the others; what is then missing counts as zeros.
        """
        tensor = self._tensor
        assert tensor.qtype is not None
        bits = BITS[tensor.qtype]
        groups = grouped_shape(tensor.shape, tensor.group_size)[0]
        columns = tensor.numel // groups
        starts = [first + rows.start for first in range(0, groups, packed_rows(groups, bits))]
        packed = self._take("unit", len(rows), columns, torch.uint8)
        scale = self._take("scale", len(starts), len(rows))
        shift = self._take("shift", len(starts), len(rows))
        step = BLOCK_BYTES // (len(starts) * columns * self._dtype.itemsize)
        for begin, count in _blocks(range(len(rows)), step):
            block = self._take("block", len(starts) * count, columns)
            for part, start in zip(block.split(count), starts, strict=True):
                present = max(0, min(count, groups - start - begin))
                self._fill(part[:present], (start + begin) * columns)
                part[present:] = 0
            codes = self._take("codes", len(block), columns, torch.uint8)
            found = torch.empty(2, len(block), 1, dtype=self._dtype)
            blockwise.affine(block, bits, codes, found[0], found[1])
            blockwise.pack(codes.split(count), bits, packed[begin : begin + count])
            scale[:, begin : begin + count] = found[0].view(-1, count)
            shift[:, begin : begin + count] = found[1].view(-1, count)
        if not _is_finite(scale, shift):
            parts = [(start, min(len(rows), groups - start)) for start in starts]
            self._refuse_rows(parts, columns)
        weight = f"{tensor.module}.weight"
        self._shard.write(f"{weight}._data._data", rows.start * columns, packed)
        shift = _frozen_shift(tensor, scale, shift)
        for index, start in enumerate(starts):
            present = max(0, min(len(rows), groups - start))
            self._shard.write(f"{weight}._scale", start, scale[index, :present])
            self._shard.write(f"{weight}._shift", start, shift[index, :present])
        return 0

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
        """Say why a block is not finite: the checkpoint, or the cast."""
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


def _quantize_whole(tensor: TensorPlan, reader: Reader, shard: ShardFile) -> None:
    assert tensor.qtype is not None
    assert tensor.optimizer is not None
    weight = torch.empty(tensor.shape, dtype=getattr(torch, tensor.dtype))
    reader.read(0, weight.view(-1), Workspace())
    if not weight.isfinite().all():
        _Worker(tensor, reader, shard, Workspace())._refuse(weight.view(-1), 0)
    results = blockwise.quantize_whole(weight, tensor.qtype, tensor.group_size, tensor.optimizer)
    results["._shift"] = _frozen_shift(tensor, results["._scale"], results["._shift"])
    for suffix, values in results.items():
        shard.write(f"{tensor.module}.weight{suffix}", 0, values)


def _frozen_shift(tensor: TensorPlan, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    assert tensor.qtype is not None
    if blockwise.uses_tinygemm(tensor.shape, shift.dtype, tensor.qtype, tensor.group_size):
        return blockwise.tinygemm_shift(scale, shift)
    return shift


def _blocks(rows: range, step: int) -> Iterator[tuple[int, int]]:
    step = max(1, step)
    for start in range(rows.start, rows.stop, step):
        yield start, min(step, rows.stop - start)


def _is_finite(*values: torch.Tensor) -> bool:
    return all(math.isfinite(float(value.abs().max())) for value in values)
