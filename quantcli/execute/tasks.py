"""Split an entry into units of rows, and process each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from quantcli.calibration import Calibration
from quantcli.dtypes import SIZES
from quantcli.execute.blocks import BLOCK_BYTES, Worker
from quantcli.execute.compensating import Compensating
from quantcli.execute.reading import Readers
from quantcli.execute.shard import ShardFile
from quantcli.execute.workspace import Workspace
from quantcli.kinds.layout import activation_scales, packed_rows
from quantcli.planning import TensorPlan
from quantcli.planning.compensation import OPTIMIZER
from quantcli.quantizers.whole import needs_whole

UNIT_BYTES = 8 * 1024 * 1024
"""What one thread processes at a time. Its output is written at once: threads that write to one
file wait for each other, so they should write seldom."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A range of rows of one entry; `rows` is None if the entry is processed whole."""

    tensor: TensorPlan
    rows: range | None

    @property
    def nbytes(self) -> int:
        """Bytes that are read, in the dtype of the model."""
        share = 1.0 if self.rows is None else len(self.rows) / max(1, _row_count(self.tensor))
        return round(self.tensor.numel * SIZES[self.tensor.dtype] * share)


def units(tensor: TensorPlan, readers: Readers) -> Iterator[Unit]:
    """Split an entry into units; one unit if it needs the whole tensor, or loads it anyway."""
    if not readers.is_streamed(tensor) or _is_taken_whole(tensor):
        yield Unit(tensor, None)
        return
    if tensor.numel == 0:
        return
    count = _row_count(tensor)
    nbytes = tensor.numel * SIZES[tensor.dtype]
    step = max(1, count * UNIT_BYTES // nbytes)
    for start in range(0, count, step):
        yield Unit(tensor, range(start, min(start + step, count)))


def batches(units: Iterable[Any]) -> Iterator[list[Any]]:
    """Group small units, so that scheduling them costs less than processing them."""
    batch: list[Any] = []
    for unit in units:
        batch.append(unit)
        if sum(unit.nbytes for unit in batch) >= BLOCK_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def run_unit(
    unit: Unit,
    readers: Readers,
    shard: ShardFile,
    workspace: Workspace,
    calibration: Calibration | None = None,
) -> int:
    """Process one unit. Returns how many rows of zeros it found (see `blockwise.symmetric`).

    Raises `ModelError` if the weights are not finite, or overflow the dtype they are cast to.
    """
    tensor = unit.tensor
    worker = Worker(tensor, readers.open(tensor), shard, workspace)
    rows = unit.rows if unit.rows is not None else range(_row_count(tensor))
    if rows.start == 0:
        _write_activation_scales(tensor, shard)
    if tensor.action != "quantize":
        worker.copy(rows)
        return 0
    if tensor.optimizer == OPTIMIZER:
        Compensating(tensor, readers.open(tensor), calibration).write(shard)
        return 0
    if _is_taken_whole(tensor):
        worker.whole()
        return 0
    if tensor.weight_format.is_grouped:
        worker.affine(rows)
        return 0
    return worker.symmetric(rows)


def _write_activation_scales(tensor: TensorPlan, shard: ShardFile) -> None:
    """Write the activation scales of a module: 1, until they are calibrated."""
    scales = activation_scales(tensor.module, tensor.dtype)
    for stored in tensor.stored:
        if stored in scales:
            shard.write(stored.name, 0, torch.ones((), dtype=getattr(torch, stored.dtype)))


def _is_taken_whole(tensor: TensorPlan) -> bool:
    if tensor.qtype is None or not tensor.weight_format.is_grouped:
        return False
    return tensor.optimizer == OPTIMIZER or needs_whole(tensor.optimizer, tensor.grouped_shape)


def _row_count(tensor: TensorPlan) -> int:
    """Return the rows to split: of the weight or its packed data; elements of what is copied."""
    if tensor.qtype is None:
        return tensor.numel
    rows = tensor.grouped_shape[0]
    return packed_rows(rows, tensor.weight_format) if tensor.weight_format.is_grouped else rows
