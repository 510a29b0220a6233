"""Measure sides in turn: each round runs every side once, under the same conditions."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Figures = Mapping[str, float]
"""What one run gave, by name: seconds, bytes, counts."""

Side = Callable[[Path], Figures]
"""One thing to measure. It is given a path where nothing is, for what it writes."""

BLOCK = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table: a figure of one side, alone or divided by that of another.

    `ours` and `theirs` are (side, figure); that of `beside` is only shown. `unit` is that of the
    figures: s, bytes, or "" for a number. `at_least` says that more is better.
    """

    what: str
    bar: float
    ours: tuple[str, str]
    theirs: tuple[str, str] | None = None
    beside: tuple[str, str] | None = None
    unit: str = "s"
    at_least: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Sides that are measured in turn, the files that they read, and the rows that come of it.

    What gives the same figures each time is measured `once`.
    """

    sides: Mapping[str, Side]
    rows: Sequence[Row]
    reads: Sequence[Path] = ()
    rehearse: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A row with the medians of its sides. `value` is what the bar is for."""

    row: Row
    ours: float
    theirs: float | None
    beside: float | None = None

    @property
    def value(self) -> float:
        return self.ours if self.theirs is None else self.ours / self.theirs

    @property
    def met(self) -> bool:
        bar = self.row.bar
        return self.value >= bar if self.row.at_least else self.value <= bar


def run(experiment: Experiment, *, rounds: int, scratch: Path) -> list[Result]:
    """Measure all sides in each round, each time beginning with another one."""
    names = list(experiment.sides)
    taken: dict[str, list[Figures]] = {name: [] for name in names}
    rounds = 1 if experiment.once else rounds
    for number in range(-1 if experiment.rehearse else 0, rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            figures = _measure(experiment.sides[name], experiment.reads, scratch)
            if number >= 0:
                taken[name].append(figures)
    return [
        Result(
            row=row,
            ours=_median(taken, row.ours),
            theirs=_median(taken, row.theirs) if row.theirs else None,
            beside=_median(taken, row.beside) if row.beside else None,
        )
        for row in experiment.rows
    ]


def timed(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, code: int = 0
) -> tuple[float, str]:
    """Run a command; return its seconds and standard output. Another exit code is an error."""
    began = time.perf_counter()
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ) | dict(env or {}),
    )
    seconds = time.perf_counter() - began
    if done.returncode != code:
        raise subprocess.CalledProcessError(
            done.returncode, done.args, output=done.stdout, stderr=done.stderr
        )
    return seconds, done.stdout


def _measure(side: Side, reads: Sequence[Path], scratch: Path) -> Figures:
    output = scratch / "output"
    for path in reads:
        _read(path)
    # what another side has written must not be on its way to the disk while this one runs
    os.sync()
    try:
        return side(output)
    finally:
        remove(output)


def remove(output: Path) -> None:
    """Remove what a side has written, if it is there."""
    if output.is_dir():
        shutil.rmtree(output)
    else:
        output.unlink(missing_ok=True)


def _read(path: Path) -> None:
    """Bring a file into the page cache."""
    buffer = bytearray(BLOCK)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _median(taken: Mapping[str, Sequence[Figures]], source: tuple[str, str]) -> float:
    side, figure = source
    return statistics.median(figures[figure] for figures in taken[side])
