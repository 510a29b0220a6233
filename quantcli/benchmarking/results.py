"""What a benchmark found, as plain data."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Seconds of one workload: the median of all runs, the least and the largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Sum up runs, one at least."""
        return cls(median=statistics.median(seconds), low=min(seconds), high=max(seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is timed: one run handles so many `items` ("token", "sample") of a batch."""

    name: str
    batch: int
    items: int
    item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A workload as one side ran it; None where it failed, and `problem` says why."""

    workload: Workload
    seconds: Spread | None
    problem: str = ""

    @property
    def rate(self) -> float | None:
        """Items per second."""
        return None if self.seconds is None else self.workload.items / self.seconds.median


@dataclass(frozen=True, slots=True, kw_only=True)
class SideResult:
    """One model, loaded in one way.

    `kernels` and `activations` are "" for an original. `load_seconds` is without imports;
    `peak_bytes` is the memory that loading and running added, None where that is not known.
    """

    name: str
    model: str
    kernels: str
    activations: str
    load_seconds: float
    peak_bytes: int | None
    timed: tuple[Timed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """All sides on one machine. The first is what the others are compared with."""

    directory: str
    sides: tuple[SideResult, ...]
    rounds: int
    threads: int
    machine: str
    notices: tuple[str, ...] = ()

    def ratio(self, side: SideResult, index: int) -> float | None:
        """Return the seconds of a side's workload, divided by those of the first side."""
        own, first = side.timed[index].seconds, self.sides[0].timed[index].seconds
        return own.median / first.median if own and first else None
