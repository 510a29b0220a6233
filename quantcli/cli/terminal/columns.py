"""Tables that fit the terminal: lines break between words and names, never inside them."""

from __future__ import annotations

import copy
import re
from itertools import product
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from quantcli.cli.terminal.decimals import align
from quantcli.cli.terminal.streams import OUTCOMES, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Column

_WIDE = r"[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60\U00020000-\U0003fffd]"
"""A character of a script that is written without spaces: lines may break after any."""

_PIECES = re.compile(rf"{_WIDE}[./]*|(?:(?!{_WIDE})[^\s./])*[./]+|(?:(?!{_WIDE})[^\s./])+|\s+")
"""A piece that is never broken: characters and the dots or slashes after them, or spaces."""

_SMALL_PIECES = re.compile(
    rf"{_WIDE}|(?:(?!{_WIDE})\S)+?(?<=[^\W_]|[*])[./_-]+|(?:(?!{_WIDE})\S)+|\s+"
)
"""The same for a narrow terminal: underscores and hyphens end a piece too, but begin none."""

_WORDS = re.compile(r"\S+|\s+")


def fit(table: Table, console: Console, width: int) -> tuple[Table, int]:
    """Return a table with its cells broken so that it fits `width`, and how wide it is.

    The widest columns are narrowed first. Numbers are aligned on their points. If the columns do
    not fit, each row becomes a paragraph with a line for each cell, in which only what cannot be
    broken is wider than `width`.
    """
    texts = [_texts(column, console) for column in table.columns]
    if sum(_widths(texts)) + _overhead(table, console) > width:
        table.padding = (0, 1, 0, 0)
    around = _overhead(table, console)
    aligned = [*map(_aligned, table.columns, texts)]
    for pieces, cells in product((_PIECES, _SMALL_PIECES), (aligned, texts)):
        minimum = _min_widths(table, cells, pieces)
        widths = _shrink(_widths(cells), minimum, width - around)
        if sum(widths) + around <= width:
            return _broken(table, cells, widths, pieces), sum(widths) + around
    return _paragraphs(table, texts, width)


def _widths(texts: list[list[str]]) -> list[int]:
    return [max(map(cell_len, cells)) for cells in texts]


def _min_widths(table: Table, texts: list[list[str]], pieces: re.Pattern[str]) -> list[int]:
    """Return the minimum width of each column."""
    return [
        full if column.no_wrap else max(_longest(pieces, text) for text in cells)
        for column, cells, full in zip(table.columns, texts, _widths(texts), strict=True)
    ]


def _broken(
    table: Table, texts: list[list[str]], widths: list[int], pieces: re.Pattern[str]
) -> Table:
    """Return a copy of a table whose columns have these widths, and cells that fit them."""
    fitted = copy.copy(table)
    fitted.columns, fitted.rows = [column.copy() for column in table.columns], []
    cells = []
    for column, lines, width in zip(fitted.columns, texts, widths, strict=True):
        column.width = width
        header, *found = (
            lines if column.no_wrap else [break_text(line, width, pieces) for line in lines]
        )
        if column.justify == "right":  # what align added at the end must stay
            column.justify = "left"
            header, *found = [" " * (width - cell_len(line)) + line for line in (header, *found)]
        column.header = Text(header)
        cells.append([Text(line, _style(line)) for line in found])
    for column, shown in zip(table.columns, cells, strict=True):
        for given, text in zip(column.cells, shown, strict=True):
            text.style = given.style if isinstance(given, Text) else text.style
    for row, values in zip(table.rows, zip(*cells, strict=True), strict=True):
        fitted.add_row(*values, style=row.style, end_section=row.end_section)
    return fitted


def _style(text: str) -> str:
    return OUTCOMES.get(text.strip(), "")


def _paragraphs(table: Table, texts: list[list[str]], width: int) -> tuple[Table, int]:
    """Return a table with a paragraph for each row, and how wide it is."""
    names = max(cell_len(header) for header, *_ in texts) + 2
    found = Table.grid()
    found.add_column(style="bold", no_wrap=True, width=names)
    found.add_column(no_wrap=True, overflow="ignore")
    found.add_row()
    for index in range(table.row_count):
        for column, (header, *cells) in zip(table.columns, texts, strict=True):
            if value := cells[index].strip():
                pieces = _WORDS if column.no_wrap else _SMALL_PIECES
                lines = break_text(value, max(width - names, 1), pieces)
                found.add_row(Text(header), Text(lines, _style(value)))
        found.add_row()
    longest = max(cell_len(line) for cells in texts for text in cells for line in text.split())
    return found, max(width, names + longest)


def _texts(column: Column, console: Console) -> list[str]:
    """Return the header and the cells of a column as plain texts."""
    return [
        printable(console.render_str(cell).plain if isinstance(cell, str) else str(cell))
        for cell in (column.header, *column.cells)
    ]


def _aligned(column: Column, texts: list[str]) -> list[str]:
    header, *cells = texts
    return [header, *(align(cells) if column.justify == "right" else cells)]


def _overhead(table: Table, console: Console) -> int:
    """Return the width of the lines and the padding."""
    from rich.measure import Measurement

    bare = copy.copy(table)
    bare.columns, bare.rows = [column.copy() for column in table.columns], []
    for column in bare.columns:
        column.header, column.min_width = "x", None
    wide = console.options.update_width(10**4)
    return Measurement.get(console, wide, bare).maximum - len(bare.columns)


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
