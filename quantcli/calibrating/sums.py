"""Sums over the samples of one pass: second moments, largest values, counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch

from quantcli.calibrating.observer import Rows
from quantcli.calibrating.passes import Item
from quantcli.calibrating.targets import Target
from quantcli.calibration import COUNTS, MAXIMUM, MOMENT, ROWS
from quantcli.calibration.names import stored_name
from quantcli.errors import ModelError

BLOCK = 512
"""Columns of a block. A moment is symmetric: blocks below the diagonal are not computed."""


class DivergedError(Exception):
    """A weight did not read the inputs of the one that it shares a moment with."""

    def __init__(self, weight: str) -> None:
        super().__init__(weight)
        self.weight = weight


class Sums:
    """A `Sink` that sums up the moments of some items, for all weights that share them.

    `owners` says who shares with whom, and `tables` in which weights look-ups are counted.
    """

    def __init__(
        self, items: Iterable[Item], owners: Mapping[str, str], tables: Iterable[Target]
    ) -> None:
        self.items = {item.target.name: item for item in items}
        self._owners = owners
        self._serials: dict[str, dict[int, int]] = {}
        self._counts = {
            table.name: torch.zeros(table.shape[0], dtype=torch.int64) for table in tables
        }
        self._sums: dict[str, torch.Tensor] = dict(self._empty())

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return what was summed up so far, by the names in the file."""
        counts = {stored_name(name, COUNTS): count for name, count in self._counts.items()}
        return {**self._sums, **counts}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `tensors` returned before."""
        for name, own in self.tensors().items():
            own.copy_(tensors[name])

    def saw(self, target: Target, matrix: int, serial: int, rows: Rows) -> None:
        """Add the inputs of a matrix. Raises `DivergedError`, and `ModelError` for NaN."""
        owner = self._owners.get(target.name)
        item = self.items.get(owner or "")
        if owner is None or item is None:
            return
        serials = self._serials.setdefault(owner, {})
        if owner != target.name:
            if serials.get(matrix) != serial:
                raise DivergedError(target.name)
            return
        serials[matrix] = serial
        for index, inputs in rows():
            if index in item.matrices:
                self._add(owner, index - item.matrices.start, inputs.float())

    def looked_up(self, target: Target, index: torch.Tensor) -> None:
        """Count the rows that were looked up."""
        if target.name in self._counts:
            counts = self._counts[target.name]
            counts += torch.bincount(index.flatten(), minlength=len(counts))

    def finish(self) -> None:
        """Complete the moments. Raises `ModelError` if one overflows."""
        for name in self.items:
            moments = self._sums[stored_name(name, MOMENT)]
            for moment in moments:
                _mirror(moment)
            if not moments.diagonal(dim1=1, dim2=2).isfinite().all():
                raise ModelError(f"{name}: the squares of its inputs overflow float32")

    def _empty(self) -> Iterator[tuple[str, torch.Tensor]]:
        for name, item in self.items.items():
            count, columns = len(item.matrices), item.target.columns
            yield stored_name(name, MOMENT), torch.zeros(count, columns, columns)
            yield stored_name(name, MAXIMUM), torch.zeros(count, columns)
            yield stored_name(name, ROWS), torch.zeros(count, dtype=torch.int64)

    def _add(self, name: str, place: int, inputs: torch.Tensor) -> None:
        if not len(inputs):
            return
        maximum = self._sums[stored_name(name, MAXIMUM)][place]
        torch.maximum(maximum, inputs.abs().amax(dim=0), out=maximum)
        if not maximum.isfinite().all():
            raise ModelError(f"{name}: the model multiplies it with values that are not finite")
        self._sums[stored_name(name, ROWS)][place] += len(inputs)
        moment = self._sums[stored_name(name, MOMENT)][place]
        for start in range(0, moment.shape[0], BLOCK):
            part = inputs[:, start : start + BLOCK]
            moment[start : start + BLOCK, start:].addmm_(part.t(), inputs[:, start:])


def _mirror(moment: torch.Tensor) -> None:
    """Copy what is above the diagonal to below it, without a second moment in memory."""
    for start in range(0, moment.shape[0], BLOCK):
        end = start + BLOCK
        moment[end:, start:end] = moment[start:end, end:].t()
        block = moment[start:end, start:end]
        block.copy_(block.triu() + block.triu(1).t())
