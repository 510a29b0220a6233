"""The table that `bench` prints: a row for each thing that was measured, a column for each side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape

from quantcli.cli.tables.plans import make_table
from quantcli.text import format_bytes

if TYPE_CHECKING:
    from rich.table import Table

    from quantcli.benchmarking.results import Benchmark, SideResult, Timed


def tables(found: Benchmark) -> Iterator[Table]:
    """Yield the times, and how many tokens or samples a second that is."""
    names = [side.name for side in found.sides]
    times = make_table(escape(found.directory), [""], names)
    times.columns[0].header = "time"
    for index, timed in enumerate(found.sides[0].timed):
        cells = (_time(found, side, index) for side in found.sides)
        times.add_row(timed.workload.name, *cells)
    times.add_row("load", *(f"{side.load_seconds:.2f} s" for side in found.sides))
    times.add_row("peak memory", *(_memory(side) for side in found.sides))
    yield times
    rates = make_table("", [""], names)
    rates.columns[0].header = "per second"
    for index, timed in enumerate(found.sides[0].timed):
        cells = (_rate(side.timed[index]) for side in found.sides)
        rates.add_row(f"{timed.workload.name}: {timed.workload.item}s", *cells)
    yield rates


def _time(found: Benchmark, side: SideResult, index: int) -> str:
    seconds = side.timed[index].seconds
    if seconds is None:
        return "failed"
    spread = (seconds.high - seconds.low) / 2 / seconds.median
    shown = f"{_milliseconds(seconds.median)} ±{spread:.0%}"
    ratio = found.ratio(side, index)
    return shown if side is found.sides[0] or ratio is None else f"{shown} x{ratio:.2f}"


def _milliseconds(seconds: float) -> str:
    value = 1000 * seconds
    return f"{value:.3g} ms" if value < 1000 else f"{value:.0f} ms"


def _rate(timed: Timed) -> str:
    return "failed" if timed.rate is None else f"{timed.rate:.4g}"


def _memory(side: SideResult) -> str:
    return "unknown" if side.peak_bytes is None else format_bytes(side.peak_bytes)
