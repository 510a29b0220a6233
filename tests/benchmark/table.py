"""The table of results, and the machine that they are true of."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.runner import Result

PACKAGES = ("quantcli", "optimum-quanto", "torch", "transformers")
HEADER = ("what", "bar", "quantcli", "other side", "measured", "verdict")
TEXT_COLUMNS = 1


def markdown(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table."""
    lines = [HEADER, ["---"] * TEXT_COLUMNS + ["---:"] * (len(HEADER) - TEXT_COLUMNS)]
    lines += [_cells(result) for result in results]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def plain(results: Sequence[Result]) -> str:
    """Return the results as aligned text."""
    lines = [HEADER, *map(_cells, results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < TEXT_COLUMNS else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in lines
    )


def machine(folder: Path, *, rounds: int) -> str:
    """Describe the machine, the disk of `folder` and the versions, in one paragraph."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    parts = [
        _processor(),
        f"{os.cpu_count()} cores",
        f"{memory / 1e9:.0f} GB of memory",
        _filesystem(folder),
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        *(f"{package} {version(package)}" for package in PACKAGES),
    ]
    what = f"Medians of {rounds} rounds" if rounds > 1 else "One round"
    return f"{what} on {datetime.now(UTC):%Y-%m-%d}: {', '.join(parts)}."


def _cells(result: Result) -> tuple[str, ...]:
    row = result.row
    ratio = result.theirs is not None
    unit = "" if ratio else row.unit
    other = result.theirs if ratio else result.beside
    return (
        row.what,
        f"at {'least' if row.at_least else 'most'} {_number(row.bar, unit)}",
        _number(result.ours, row.unit),
        "" if other is None else _number(other, row.unit),
        f"{result.value:.2f}" if ratio else _number(result.value, unit),
        "met" if result.met else "missed",
    )


def _number(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 1e6:.0f} MB"
    if unit == "s":
        return f"{value:.2f} s" if value >= 0.05 else f"{1000 * value:.3g} ms"
    return f"{value:.4g}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _filesystem(folder: Path) -> str:
    """Name the file system and the device that a folder is on."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "an unknown file system"
    found = {}
    for line in mounts.read_text(encoding="utf-8").splitlines():
        device, point, kind = line.split()[:3]
        if folder.resolve().is_relative_to(point):
            found[point] = f"{kind} on {device}"
    return found[max(found, key=len)]
