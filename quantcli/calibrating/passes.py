"""Which moments are summed up in which pass over the samples, by the memory that they may take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from quantcli.calibrating.targets import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Some of the matrices of one target, whose moments are summed up together."""

    target: Target
    matrices: range

    @property
    def nbytes(self) -> int:
        """Bytes of the sums."""
        return self.target.moment_bytes // self.target.matrices * len(self.matrices)


def plan_passes(owners: Iterable[Target], memory: int) -> list[list[Item]]:
    """Return what is summed up in each pass, in the order in which the targets run.

    The sums of a pass take at most `memory` bytes, or are those of one matrix.
    """
    passes: list[list[Item]] = [[]]
    used = 0
    for item in _items(owners, memory):
        if passes[-1] and used + item.nbytes > memory:
            passes.append([])
            used = 0
        passes[-1].append(item)
        used += item.nbytes
    return passes


def _items(owners: Iterable[Target], memory: int) -> Iterator[Item]:
    for target in owners:
        each = target.moment_bytes // target.matrices
        step = max(1, memory // max(1, each))
        for start in range(0, target.matrices, step):
            yield Item(target=target, matrices=range(start, min(start + step, target.matrices)))
