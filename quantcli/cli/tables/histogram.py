"""A histogram as text: bars of blocks, or of # where the output cannot show them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

from quantcli.cli.tables.inspect import decibels, stored_as
from quantcli.cli.terminal.streams import printable, width_of
from quantcli.inspection import Distribution, Histogram, Inspection, unfold

EIGHTHS = " ▏▎▍▌▋▊▉█"
"""Blocks of 0 to 8 eighths of a character."""

WIDTH = 80
"""The width of a histogram that does not go to a terminal."""

LEAST_BAR = 4
"""Minimum width of the longest bar."""

GAP = "  "


def draw(found: Inspection) -> str:
    """Return the histogram of an inspection, with quantiles and extremes below."""
    histogram = found.histogram
    assert histogram is not None
    sides = _sides(histogram)
    lines = [*map(printable, _head(found)), "", *_bars(histogram, sides), "", *_numbers(sides)]
    return "\n".join(line.rstrip() for line in lines)


def _head(found: Inspection) -> Iterator[str]:
    (row,) = unfold(found)
    tensor = row.alike
    assert tensor is not None
    shape = "x".join(map(str, tensor.shape))
    yield f"{found.model}: {tensor.name}, {shape}, {stored_as(row)}"
    if row.error is not None:
        figure = "exact" if row.error.exact else f"SQNR {decibels(row.error)} dB"
        yield f"against {found.against}: {figure}"


def _sides(histogram: Histogram) -> list[tuple[str, Distribution]]:
    """Return the distributions that are shown, by what they are called."""
    if histogram.original is None:
        return [("values", histogram.values)]
    return [("original", histogram.original), ("mapped back", histogram.values)]


def _bars(histogram: Histogram, sides: list[tuple[str, Distribution]]) -> Iterator[str]:
    """Yield a row for each bin: where it begins, then a count and a bar for each model."""
    columns = [[name, *(f"{count:,}" for count in side.bins)] for name, side in sides]
    first = ["from", *(f"{edge:.4g}" for edge in histogram.edges[:-1])]
    used = sum(len(GAP) + _widest(column) for column in [first, *columns]) - len(GAP)
    room = max(LEAST_BAR, (_width() - used) // len(sides) - len(GAP))
    most = max(count for _, side in sides for count in side.bins) or 1
    aligned = [_right(first)]
    for (_, side), column in zip(sides, columns, strict=True):
        drawn = ["", *(bar(count / most, room) for count in side.bins)]
        aligned += [_right(column), [each.ljust(room) for each in drawn]]
    yield from map(GAP.join, zip(*aligned, strict=True))


def bar(share: float, width: int) -> str:
    """Return a bar of a share of the width; a share above 0 shows something."""
    if not blocks_show():
        return "#" * max(round(share * width), share > 0)
    whole, part = divmod(max(round(share * width * 8), share > 0), 8)
    return "█" * whole + EIGHTHS[part].strip()


def blocks_show() -> bool:
    """Return whether standard output can show blocks: it is in UTF-8, and no dumb terminal."""
    is_utf_8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return is_utf_8 and not (sys.stdout.isatty() and os.environ.get("TERM") == "dumb")


def _width() -> int:
    return width_of(sys.stdout) if sys.stdout.isatty() else WIDTH


def _numbers(sides: list[tuple[str, Distribution]]) -> Iterator[str]:
    """Yield the extremes, the quantiles and the counts of each model, in columns."""
    facts = [_facts(side) for _, side in sides]
    labels = ["", *(label for label, _ in facts[0])]
    widest = _widest(labels)
    columns = [[label.ljust(widest) for label in labels]]
    for (name, _), column in zip(sides, facts, strict=True):
        columns.append(_right([name, *(text for _, text in column)]))
    yield from map(GAP.join, zip(*columns, strict=True))


def _facts(side: Distribution) -> list[tuple[str, str]]:
    quantiles = [
        (f"{100 * share:g}% below", f"{value:.6g}") for share, value in side.quantiles.items()
    ]
    return [
        ("minimum", f"{side.minimum:.6g}"),
        *quantiles,
        ("maximum", f"{side.maximum:.6g}"),
        ("mean", f"{side.mean:.6g}"),
        ("standard deviation", f"{side.deviation:.6g}"),
        ("values", f"{side.count:,}"),
        ("zeros", f"{side.zeros:,}"),
        ("NaN or infinite", f"{side.not_finite:,}"),
        ("codes in use", "" if side.distinct is None else str(side.distinct)),
    ]


def _right(cells: Sequence[str]) -> list[str]:
    widest = _widest(cells)
    return [cell.rjust(widest) for cell in cells]


def _widest(cells: Sequence[str]) -> int:
    return max(map(len, cells))
