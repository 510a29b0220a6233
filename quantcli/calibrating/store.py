"""The file that a calibration is written to, and what an interrupted run needs to go on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file, save_file

from quantcli.calibrating.passes import Item
from quantcli.calibrating.sums import Sums
from quantcli.calibrating.targets import Target
from quantcli.calibration import COUNTS, MAXIMUM, MOMENT, ROWS
from quantcli.calibration.names import stored_name
from quantcli.execute.shard import layout, write_all
from quantcli.files import read_json, write_json
from quantcli.kinds.layout import Stored

FILE = "calibration.safetensors"
"""The name of the file until it is complete."""

SUMS = "sums.safetensors"
"""What was summed up in a pass that was interrupted."""

STATE = "state.json"


def stored_tensors(owners: Iterable[Target], tables: Iterable[Target]) -> list[Stored]:
    """List the tensors of a calibration file."""
    return [*_moments(owners), *(_stored(table, COUNTS, table.shape[:1]) for table in tables)]


def _moments(owners: Iterable[Target]) -> Iterator[Stored]:
    for target in owners:
        count, columns = target.matrices, target.columns
        yield _stored(target, MOMENT, (count, columns, columns))
        yield _stored(target, MAXIMUM, (count, columns))
        yield _stored(target, ROWS, (count,))


def _stored(target: Target, what: str, shape: tuple[int, ...]) -> Stored:
    dtype = "int64" if what in (ROWS, COUNTS) else "float32"
    return Stored(name=stored_name(target.name, what), dtype=dtype, shape=shape)


class Store:
    """The calibration file in a working folder. Every pass fills the tensors of its items.

    `position` is the pass and the sample to go on with.
    """

    def __init__(
        self, folder: Path, tensors: Iterable[Stored], metadata: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._header, self._offsets, self._size = layout(tensors, metadata)
        self.position = (0, 0)

    def __enter__(self) -> Self:
        state = self._folder / STATE
        if state.exists():
            self.position = tuple(read_json(state)["position"])
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self._folder / FILE, flags, 0o666)
        os.truncate(self._descriptor, self._size)
        write_all(self._descriptor, memoryview(self._header), 0)
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._descriptor)

    def restore(self, sums: Sums) -> None:
        """Give the sums of an interrupted pass what they had, if it was saved."""
        saved = self._folder / SUMS
        if self.position[1]:
            sums.restore(load_file(saved))

    def save(self, sums: Sums, done: tuple[int, int]) -> None:
        """Save a pass that is not finished; `done` is where to go on."""
        temporary = self._folder / f".{SUMS}"
        save_file(sums.tensors(), temporary)
        temporary.replace(self._folder / SUMS)
        self._note(done)

    def write(self, sums: Sums, done: int) -> None:
        """Write what a finished pass summed up; `done` passes are finished then."""
        for name, item in sums.items.items():
            self._write_item(name, item, sums.tensors())
        for name, tensor in sums.tensors().items():
            if name.endswith(f".{COUNTS}"):
                self._write(name, 0, tensor)
        os.fsync(self._descriptor)
        self._note((done, 0))
        (self._folder / SUMS).unlink(missing_ok=True)

    def _write_item(self, name: str, item: Item, tensors: Mapping[str, torch.Tensor]) -> None:
        for what in (MOMENT, MAXIMUM, ROWS):
            tensor = tensors[stored_name(name, what)]
            self._write(stored_name(name, what), item.matrices.start * tensor[0].nbytes, tensor)

    def _write(self, name: str, start: int, tensor: torch.Tensor) -> None:
        raw = tensor.reshape(-1).view(torch.uint8).numpy()
        write_all(self._descriptor, raw.data, self._offsets[name] + start)

    def _note(self, position: tuple[int, int]) -> None:
        self.position = position
        write_json(self._folder / STATE, {"position": position})
