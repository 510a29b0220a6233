"""Which weights read the same inputs, found by running one sample: they share one moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.calibrating.observer import Rows
from quantcli.calibrating.targets import Target

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Whose moment each weight has, in the order in which they run.

    `owners` maps a weight to the one under whose name the moment is stored. `tables` are weights
    in which rows are looked up.
    """

    owners: Mapping[str, str]
    tables: tuple[str, ...]

    def without(self, weight: str) -> Shared:
        """Return this with a moment of its own for one weight."""
        return Shared(owners={**self.owners, weight: weight}, tables=self.tables)

    @property
    def weights(self) -> dict[str, str]:
        """Every weight that is observed, and under whose name its tensors are stored."""
        return {**{table: table for table in self.tables}, **self.owners}


class Trace:
    """A `Sink` that remembers only which inputs each weight had."""

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}
        self._seen: dict[str, list[tuple[int, int]]] = {}
        self._tables: dict[str, None] = {}

    def saw(self, target: Target, matrix: int, serial: int, rows: Rows) -> None:
        """Remember the number of the inputs."""
        del rows
        self._targets[target.name] = target
        self._seen.setdefault(target.name, []).append((matrix, serial))

    def looked_up(self, target: Target, index: torch.Tensor) -> None:
        """Remember the table."""
        del index
        self._tables[target.name] = None

    def shared(self, targets: Iterable[Target]) -> Shared:
        """Return who shares with whom.

        What the sample did not reach has a moment of its own, except for tables: nothing is
        multiplied with those.
        """
        owners: dict[str, str] = {}
        first: dict[object, str] = {}
        for name, seen in self._seen.items():
            target = self._targets[name]
            key = (tuple(seen), target.matrices, target.columns)
            owners[name] = first.setdefault(key, name)
        for target in targets:
            if target.name not in owners and not target.table:
                owners[target.name] = target.name
        return Shared(owners=owners, tables=tuple(self._tables))
