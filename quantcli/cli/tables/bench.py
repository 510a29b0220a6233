"""The tables that `bench` prints: one for each workload, with a row for each way to compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape

from quantcli.cli.tables.plans import make_table
from quantcli.text import format_bytes

if TYPE_CHECKING:
    from rich.table import Table

    from quantcli.benchmarking.results import Benchmark, SideResult


def tables(found: Benchmark) -> Iterator[Table]:
    """Yield a table for each workload, and one of loading; a row is a way to compute."""
    for index, first in enumerate(found.sides[0].timed):
        workload = first.workload
        name = escape(f"{found.directory}: {workload.name}" if index == 0 else workload.name)
        table = make_table(name, [""], ["time", "spread", f"{workload.item}s/s", "ratio"])
        for side in found.sides:
            table.add_row(side.name, *_cells(found, side, index))
        yield table
    loading = make_table("loading", [""], ["time", "peak memory"])
    for side in found.sides:
        loading.add_row(side.name, f"{side.load_seconds:.2f} s", _memory(side))
    yield loading


def _cells(found: Benchmark, side: SideResult, index: int) -> list[str]:
    timed = side.timed[index]
    if timed.seconds is None or timed.rate is None:
        return ["failed", "", "", ""]
    seconds, ratio = timed.seconds, found.ratio(side, index)
    spread = (seconds.high - seconds.low) / 2 / seconds.median
    return [
        f"{_milliseconds(seconds.median)}",
        f"±{spread:.0%}",
        f"{timed.rate:.4g}",
        "" if ratio is None else f"{ratio:.2f}",
    ]


def _milliseconds(seconds: float) -> str:
    value = 1000 * seconds
    return f"{value:.3g} ms" if value < 1000 else f"{value:.0f} ms"


def _memory(side: SideResult) -> str:
    return "unknown" if side.peak_bytes is None else format_bytes(side.peak_bytes)
