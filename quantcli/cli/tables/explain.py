"""The tables that `explain` prints: the slice at each step, and the facts of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from quantcli.cli.terminal.streams import colour_system
from quantcli.explanation import facts
from quantcli.explanation.figures import largest, rows_of, texts_of

if TYPE_CHECKING:
    from quantcli.explanation import Explanation, Grid
    from quantcli.explanation.formulas import Step

LABEL = 9
"""Width of the row numbers, and of the table's edges."""

GAP, NARROW_GAP = 3, 1
"""What separates two columns: usually, and in a table that would not fit otherwise."""

LEFT = ("dtype", "verdict")
"""Columns of words; numbers are aligned right."""

NEGATIVE, POSITIVE = (247, 163, 82), (178, 160, 220)
"""Orange and purple, as in the map PuOr: different to colour-blind eyes, light under black text."""

WHITE = (255, 255, 255)


def tables(found: Explanation, width: int) -> Iterator[Table]:
    """Yield the tables, each for at most as many columns of the slice as fit `width`."""
    show = _Slice(found, width)
    yield from show.tables("\n".join([*facts.about(found), "", "original: r"]), found.original)
    if found.codes is not None:
        yield _first_steps(found)
        yield from show.step(found.steps[3], found.codes, number="4  ")
        yield from show.step(found.steps[4], found.restored)
    else:
        first, cast = found.steps[:2]
        title = f"{_line(first)}\n  {first.words}\n{_line(cast)}"
        yield from show.tables(title, found.restored, f"\n  {cast.words}")
    yield from show.step(found.steps[-1], found.errors)
    if found.method in ("float8", "cast"):
        yield from show.tables("bound of each error: half of the spacing there", found.half_steps)
    if found.spans:
        title = f"bound and largest error of each {'group' if found.is_grouped else 'row'}"
        yield _table_of(title, [*facts.labels(found), *facts.bounds(found)])
    unit, columns = facts.comparison(found)
    count = len(found.original) * len(found.original[0])
    errors = f", errors{unit}" if unit else ""
    yield _table_of(f"against a cast, on these {count} values{errors}", columns)


def worked_lines(found: Explanation) -> Iterator[str]:
    """Yield one value step by step."""
    one = found.worked
    yield f"one value, that with the largest error: row {one.row}, column {one.column}"
    yield from (f"  {line}" for line in facts.worked(found))


class _Slice:
    """Makes tables of the slice, with as many of its columns as fit the terminal."""

    def __init__(self, found: Explanation, width: int) -> None:
        self._found = found
        self._width = width

    def step(self, step: Step, grid: Grid, number: str = "") -> Iterator[Table]:
        """Yield the tables of what a step gives."""
        indent = " " * max(len(number), 2)
        return self.tables(f"{number}{_line(step)}", grid, f"\n{indent}{step.words}")

    def tables(self, title: str, grid: Grid, words: str = "") -> Iterator[Table]:
        """Yield a heat map of a grid, in pieces if it is wide. The numbers say all of it."""
        columns, count = self._found.shown_columns, len(self._found.shown_columns)
        numbers = texts_of(self._found, grid)
        width = max(map(len, (*numbers.texts, str(columns[-1]))))  # without aligning them
        texts = rows_of(numbers.texts, count)
        shade = _shades(grid)
        at_once = self._columns_at_once(count, width)
        for start in range(0, count, at_once):
            stop = min(start + at_once, count)
            more = f"columns {columns[start]} to {columns[stop - 1]}"
            table = Table(
                box=box.SIMPLE_HEAD, title=f"{title}{numbers.unit}{words}" if start == 0 else more
            )
            table.add_column("row", justify="right", no_wrap=True)
            for column in columns[start:stop]:
                table.add_column(str(column), justify="right", no_wrap=True)
            for row, values, cells in zip(self._found.shown_rows, grid, texts, strict=True):
                shown = zip(cells[start:stop], values[start:stop], strict=True)
                table.add_row(str(row), *(Text(text, style=shade(value)) for text, value in shown))
            yield table

    def _columns_at_once(self, count: int, width: int) -> int:
        """Return how many of `count` columns fit the terminal, each `width` wide."""
        room = self._width - LABEL
        return count if count * (width + NARROW_GAP) <= room else max(1, room // (width + GAP))


def _shades(grid: Grid) -> Callable[[float], str]:
    """Return what gives the style of a number: deeper the farther from 0, by its sign.

    16 colours are too few for that.
    """
    if colour_system() == "standard":
        return lambda _: ""
    most = largest(grid)

    def style(value: float) -> str:
        share = min(abs(value) / most, 1.0)
        full = NEGATIVE if value < 0 else POSITIVE
        mixed = (round(w + share * (f - w)) for w, f in zip(WHITE, full, strict=True))
        return "black on #{:02x}{:02x}{:02x}".format(*mixed)

    return style


def _first_steps(found: Explanation) -> Table:
    """Return the first three steps, with their numbers for each row or group."""
    steps = enumerate(found.steps[:3], start=1)
    title = "\n".join(f"{number}  {_line(step)}\n   {step.words}" for number, step in steps)
    numbers = [*facts.extremes(found), *facts.scales(found), *facts.zero_points(found)]
    return _table_of(title, [*facts.labels(found), *numbers])


def _line(step: Step) -> str:
    return f"{step.title}: {step.formula}"


def _table_of(title: str, columns: Sequence[facts.Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title)
    for column in columns:
        justify = "left" if column.title in LEFT else "right"
        table.add_column(escape(column.title), justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for line in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(escape, line))
    return table
