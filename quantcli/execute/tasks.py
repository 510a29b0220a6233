"""What one shard task does to one entry: read rows, quantize or cast them, write them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from quantcli import blockwise
from quantcli.dtypes import BITS, is_float
from quantcli.errors import ModelError
from quantcli.execute.reading import Reader, Readers, Workspace
from quantcli.execute.shard import ShardFile
from quantcli.planning import TensorPlan
from quantcli.planning.layout import grouped_shape, packed_rows

BLOCK_BYTES = 512 * 1024
"""A block, its scratch and its output together stay in a core's second-level cache."""

UNIT_BYTES = 16 * 1024 * 1024
"""What one thread takes at a time: small enough to share a shard out evenly."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A range of rows of one entry; `rows` is None where the entry is taken whole."""

    tensor: TensorPlan
    rows: range | None

    @property
    def nbytes(self) -> int:
        """Bytes that are read, in the dtype of the model."""
        itemsize = getattr(torch, self.tensor.dtype).itemsize
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


def run_unit(unit: Unit, readers: Readers, shard: ShardFile, workspace: Workspace) -> int:
    """Do one unit. Returns how many zero rows were mended (see `blockwise.symmetric`).

    Raises `ModelError` where the weights are not finite, or overflow the dtype they are cast to.
    """
    tensor = unit.tensor
    reader = readers.open(tensor)
    if tensor.action == "quantize" and _needs_whole(tensor):
        _quantize_whole(tensor, reader, shard)
        return 0
    rows = unit.rows if unit.rows is not None else range(_row_count(tensor))
    worker = _Worker(tensor, reader, shard, workspace)
    if tensor.action != "quantize":
        return worker.copy(rows)
    assert tensor.qtype is not None
    return worker.affine(rows) if blockwise.is_affine(tensor.qtype) else worker.symmetric(rows)


def write_constants(tensor: TensorPlan, shard: ShardFile) -> None:
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
        name = self._tensor.stored[0].name
        check = self._tensor.is_parameter and is_float(self._tensor.dtype)
        for start, count in _blocks(elements, BLOCK_BYTES // self._dtype.itemsize):
            block = self._read("block", start, count)
            if check and not _is_finite(block.amin(), block.amax()):
                self._refuse(block, start)
            self._shard.write(name, start, block)
        return 0

    def symmetric(self, rows: range) -> int:
        tensor = self._tensor
        assert tensor.qtype is not None
        weight = f"{tensor.module}.weight"
        columns = tensor.numel // tensor.shape[0]
        mended = 0
        for start, count in _blocks(rows, BLOCK_BYTES // (columns * self._dtype.itemsize)):
            block = self._read("block", start * columns, count * columns).view(count, columns)
            scratch = self._workspace.take("scratch", self._dtype, block.numel()).view_as(block)
            result = blockwise.symmetric(block, tensor.qtype, scratch)
            if not _is_finite(result.scale):
                self._refuse_rows([(start, count)], columns)
            self._shard.write(f"{weight}._data", start * columns, result.data)
            self._shard.write(f"{weight}._scale", start, result.scale)
            mended += result.mended
        return mended

    def affine(self, rows: range) -> int:
        """Quantize packed rows: each holds the values of matching rows of every part."""
        tensor = self._tensor
        assert tensor.qtype is not None
        bits = BITS[tensor.qtype]
        groups = grouped_shape(tensor.shape, tensor.group_size)[0]
        columns = tensor.numel // groups
        stride = packed_rows(groups, bits)
        width = columns * self._dtype.itemsize * (8 // bits)
        for start, count in _blocks(rows, BLOCK_BYTES // width):
            parts = [
                (first, min(count, groups - first))
                for first in range(start, groups, stride)
                if first < groups
            ]
            self._affine_block(start, parts, columns, bits)
        return 0

    def _affine_block(
        self, start: int, parts: list[tuple[int, int]], columns: int, bits: int
    ) -> None:
        tensor = self._tensor
        weight = f"{tensor.module}.weight"
        lengths = [length for _, length in parts]
        block = self._workspace.take("block", self._dtype, sum(lengths) * columns)
        for (first, _), rows in zip(parts, block.split([n * columns for n in lengths]), strict=True):
            self._reader.read(first * columns, rows, self._workspace)
        result = blockwise.affine(block.view(-1, columns), bits)
        if not _is_finite(result.scale, result.shift):
            self._refuse_rows(parts, columns)
        shift = _frozen_shift(tensor, result.scale, result.shift)
        packed = blockwise.pack(list(result.data.split(lengths)), bits)
        self._shard.write(f"{weight}._data._data", start * columns, packed)
        scales = result.scale.split(lengths)
        shifts = shift.split(lengths)
        for (first, _), scale, part in zip(parts, scales, shifts, strict=True):
            self._shard.write(f"{weight}._scale", first, scale)
            self._shard.write(f"{weight}._shift", first, part)

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
