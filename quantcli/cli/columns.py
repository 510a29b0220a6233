"""Tables that fit the terminal: lines break between words and names, never inside them."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Column, Table

_PIECES = re.compile(r"[^\s./]*[./]+|[^\s./]+|\s+")
"""A piece that is never broken: characters and the dots or slashes after them, or spaces."""

_SMALL_PIECES = re.compile(r"[^\s./_-]*[./_-]+|[^\s./_-]+|\s+")
"""The same for a narrow terminal: underscores and hyphens end a piece too."""


def fit(table: Table, console: Console, width: int) -> tuple[Table, int]:
    """Return a table with its cells broken so that it fits `width`, and how wide it is.

    The widest columns are narrowed first. What cannot be broken stays whole, even beyond `width`.
    """
    texts = [_texts(column, console) for column in table.columns]
    natural = [max(map(cell_len, cells)) for cells in texts]
    if sum(natural) + _overhead(table, console, natural) > width:
        table.padding = (0, 1, 0, 0)
    around = _overhead(table, console, natural)
    for pieces in (_PIECES, _SMALL_PIECES):
        minimum = _min_widths(table, texts, natural, pieces)
        widths = _shrink(natural, minimum, width - around)
        if sum(widths) + around <= width:
            break
    return _broken(table, texts, widths, pieces), sum(widths) + around


def _min_widths(
    table: Table, texts: list[list[str]], natural: list[int], pieces: re.Pattern[str]
) -> list[int]:
    """Return the minimum width of each column."""
    return [
        full if column.no_wrap else max(_longest(pieces, text) for text in cells)
        for column, cells, full in zip(table.columns, texts, natural, strict=True)
    ]


def _broken(
    table: Table, texts: list[list[str]], widths: list[int], pieces: re.Pattern[str]
) -> Table:
    """Return a copy of a table whose columns have these widths, and cells that fit them."""
    fitted = copy.copy(table)
    fitted.columns, fitted.rows = [column.copy() for column in table.columns], []
    cells: list[list[Any]] = [[*column.cells] for column in table.columns]
    for index, column in enumerate(fitted.columns):
        column.width = widths[index]
        if not column.no_wrap:
            broken = [Text(break_text(text, column.width, pieces)) for text in texts[index]]
            column.header, cells[index] = broken[0], broken[1:]
    for row, values in zip(table.rows, zip(*cells, strict=True), strict=True):
        fitted.add_row(*values, style=row.style, end_section=row.end_section)
    return fitted


def _texts(column: Column, console: Console) -> list[str]:
    cells = [column.header, *column.cells]
    return [
        console.render_str(cell).plain if isinstance(cell, str) else str(cell) for cell in cells
    ]


def _overhead(table: Table, console: Console, natural: list[int]) -> int:
    """Return the width of the lines and the padding."""
    from rich.measure import Measurement

    wide = console.options.update_width(10**4)
    return Measurement.get(console, wide, table).maximum - sum(natural)


def _shrink(natural: list[int], minimum: list[int], room: int) -> list[int]:
    """Return widths that add up to at most `room`, or else the minimum widths."""
    for widest in range(max(natural), 0, -1):
        widths = [max(low, min(full, widest)) for full, low in zip(natural, minimum, strict=True)]
        if sum(widths) <= room:
            return widths
    return minimum


def _longest(pieces: re.Pattern[str], text: str) -> int:
    return max((cell_len(piece) for piece in pieces.findall(text)), default=0)


def break_text(text: str, width: int, pieces: re.Pattern[str] = _PIECES) -> str:
    """Break a text into lines between its pieces, so that each line fits `width`."""
    lines = [""]
    for piece in pieces.findall(text):
        if lines[-1] and cell_len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        if lines[-1] or piece.strip():
            lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)
