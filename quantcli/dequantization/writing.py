"""Write the tensors of the original from a frozen directory, in threads, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from quantcli.dequantization.elements import Elements, check_cast, grain_of
from quantcli.dequantization.entries import FrozenEntry
from quantcli.dequantization.made import MADE_BY
from quantcli.dequantization.original import original_of
from quantcli.dequantization.outputs import (
    Converted,
    Made,
    Output,
    Sharded,
    nbytes_of,
    stored_in,
)
from quantcli.dequantization.reader import FrozenReader
from quantcli.execute import Progress, run_work
from quantcli.execute.shard import ShardFile
from quantcli.execute.tasks import UNIT_BYTES
from quantcli.execute.workspace import Workspace
from quantcli.kinds.layout import Stored

if TYPE_CHECKING:
    from quantcli.skeleton import Skeleton


@dataclass(frozen=True, slots=True)
class Unit:
    """What one thread does at a time: a range of elements of a tensor, or a conversion."""

    made: Made
    elements: range = field(default_factory=lambda: range(0))

    @property
    def nbytes(self) -> int:
        """Bytes that are written."""
        if isinstance(self.made, Converted):
            return nbytes_of(self.made)
        numel = max(1, self.made.numel)
        return self.made.stored.nbytes * len(self.elements) // numel


class Dequantizing:
    """The work of writing a result: `skeleton` is only needed if transformers converts tensors."""

    metadata: Mapping[str, str] = MADE_BY

    def __init__(self, reader: FrozenReader, sharded: Sharded, skeleton: Skeleton | None) -> None:
        self._reader = reader
        self._sharded = sharded
        self._skeleton = skeleton

    @property
    def shards(self) -> Sequence[str]:
        """The names of the files."""
        return self._sharded.shards

    def stored(self, index: int) -> list[Stored]:
        """Return the tensors in one shard."""
        return [stored for made in self._sharded.made[index] for stored in stored_in(made)]

    def units(self, index: int) -> Iterator[Unit]:
        """Return the units of one shard: whole rows, about `UNIT_BYTES` each."""
        for made in self._sharded.made[index]:
            if isinstance(made, Converted) or made.numel == 0:
                yield Unit(made)
                continue
            grain = grain_of(made.entry)
            step = max(1, UNIT_BYTES * made.numel // made.stored.nbytes // grain) * grain
            for start in range(0, made.numel, step):
                yield Unit(made, range(start, min(start + step, made.numel)))

    def do(self, unit: Unit, shard: ShardFile, workspace: Workspace) -> None:
        """Read, dequantize, cast and write one unit."""
        if isinstance(unit.made, Output):
            self._copy(unit.made, unit.elements, shard, workspace)
        else:
            self._convert(unit.made, shard, workspace)

    def _copy(
        self, output: Output, elements: range, shard: ShardFile, workspace: Workspace
    ) -> None:
        dtype: torch.dtype = getattr(torch, output.stored.dtype)
        block = workspace.take("unit", dtype, len(elements))
        self._elements(output.entry).read(output.start + elements.start, block, workspace)
        shard.write(output.stored.name, elements.start, block)

    def _convert(self, made: Converted, shard: ShardFile, workspace: Workspace) -> None:
        assert self._skeleton is not None
        tensors = {entry.name: self._whole(entry, workspace) for entry in made.entries}
        shapes = {stored.name: stored.shape for stored in made.stored}
        found = original_of(self._skeleton, tensors, shapes)
        for stored in made.stored:
            own = found[stored.name]
            values = own.to(getattr(torch, stored.dtype))
            check_cast(stored.name, own.dtype, values)
            shard.write(stored.name, 0, values)

    def _whole(self, entry: FrozenEntry, workspace: Workspace) -> torch.Tensor:
        values = torch.empty(entry.numel, dtype=getattr(torch, entry.dtype))
        self._elements(entry).read(0, values, workspace)
        return values.view(entry.shape)

    def _elements(self, entry: FrozenEntry) -> Elements:
        return Elements(entry, self._reader.open(entry))


def write_weights(
    reader: FrozenReader,
    sharded: Sharded,
    folder: Path,
    *,
    skeleton: Skeleton | None,
    jobs: int,
    progress: Progress | None = None,
) -> None:
    """Write every shard into `folder`. Raises `ModelError` or `MachineError`."""
    run_work(Dequantizing(reader, sharded, skeleton), folder, jobs=jobs, progress=progress)
