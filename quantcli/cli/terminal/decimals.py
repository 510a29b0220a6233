"""Numbers of a column, aligned on their decimal points."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"(?P<whole>[+-]?\d[\d,]*)(?P<rest>\S*)")
"""The part of a number before its point, and the rest: ".5", ".5%", or nothing."""


def align(cells: Sequence[str]) -> list[str]:
    """Return the cells of a right-aligned column with spaces that put their points in line.

    Intervals ("0.1 to 0.25") and units ("1.5 MB") are aligned word by word. Cells that do not start
    with a number stay as they are.
    """
    rows = {at: cell.split(" ") for at, cell in enumerate(cells) if _NUMBER.match(cell)}
    _align_words([*rows.values()], 0)
    for length in {*map(len, rows.values())}:
        for column in range(1, length):
            _align_words([row for row in rows.values() if len(row) == length], column)
    width = max((len(" ".join(row)) for row in rows.values()), default=0)
    return [
        " ".join(rows[at]).ljust(width) if at in rows else cell for at, cell in enumerate(cells)
    ]


def _align_words(rows: list[list[str]], column: int) -> None:
    """Pad the words of one column of words, in place."""
    found = [_NUMBER.fullmatch(row[column]) for row in rows]
    whole = max((len(number["whole"]) for number in found if number), default=0)
    rest = max((len(number["rest"]) for number in found if number), default=0)
    for row, number in zip(rows, found, strict=True):
        if number:
            row[column] = number["whole"].rjust(whole) + number["rest"].ljust(rest)
