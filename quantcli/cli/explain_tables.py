"""The tables that `explain` prints: the slice at each step, and the facts of its rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from quantcli.explanation.figures import decibels, exact, rows_of, scaled
from quantcli.formats import format_named

if TYPE_CHECKING:
    from quantcli.explanation import Explanation, Grid, Span
    from quantcli.explanation.formulas import Step

CELL = 12
"""Maximum width of a number of the slice, with what separates it from the next."""

LABEL = 9
"""Width of the row numbers, and of the table's edges."""

NEGATIVE, POSITIVE = (247, 163, 82), (178, 160, 220)
"""Orange and purple, as in the map PuOr: different to colour-blind eyes, light under black text."""

WHITE = (255, 255, 255)


def tables(found: Explanation, width: int) -> Iterator[Table]:
    """Yield the tables, each for at most as many columns of the slice as fit `width`."""
    show = _Slice(found, width)
    yield from show.tables(f"{_heading(found)}\n\noriginal: r", found.original)
    if found.codes is not None:
        yield _spans(found)
        yield from show.step(found.steps[3], found.codes, number="4  ")
    yield from show.step(found.steps[-2], found.restored)
    yield from show.step(found.steps[-1], found.errors)
    if found.method in ("float8", "cast"):
        yield from show.tables("bound of each error: half of the spacing there", found.half_steps)
    if found.spans:
        yield _bounds(found)
    yield _comparison(found)


def _heading(found: Explanation) -> str:
    shape = "x".join(map(str, found.shape))
    rows, columns = found.shown_rows, found.shown_columns
    name = f"{found.tensor} of {found.model}"
    what = f"{found.kind} {shape} in {found.dtype}, to {found.weights}: {_method(found)}"
    seen = _seen(found)
    shown = f"shown: rows {rows[0]} to {rows[-1]}, columns {columns[0]} to {columns[-1]}{seen}"
    return f"{name}\n{what}\n{shown}"


def _method(found: Explanation) -> str:
    if found.method == "cast":
        return "a cast"
    kind = "affine" if found.method == "affine" else "symmetric"
    shared = "group" if found.is_grouped else "row"
    count = found.group_size or found.columns
    if found.spans and found.spans[0].columns.step > 1:
        count = len(found.spans[0].columns)
    return f"{kind}, a scale for each {shared} of {count} values"


def _seen(found: Explanation) -> str:
    """Return how the weight is seen as rows, where that is not its shape."""
    if found.shape == (found.rows, found.columns):
        return ""
    turned = ", transposed" if found.transposed else ""
    return f" (quantized as {found.rows} rows of {found.columns}{turned})"


class _Slice:
    """Makes tables of the slice, with as many of its columns as fit the terminal."""

    def __init__(self, found: Explanation, width: int) -> None:
        self._found = found
        self._fit = max(1, (width - LABEL) // CELL)

    def step(self, step: Step, grid: Grid, number: str = "") -> Iterator[Table]:
        """Yield the tables of what a step gives."""
        indent = " " * max(len(number), 2)
        return self.tables(f"{number}{step.title}: {step.formula}", grid, f"\n{indent}{step.words}")

    def tables(self, title: str, grid: Grid, words: str = "") -> Iterator[Table]:
        """Yield a heat map of a grid, in pieces if it is wide. The numbers say all of it."""
        columns, count = self._found.shown_columns, len(self._found.shown_columns)
        flat = [value for row in grid for value in row]
        of_float8 = grid is self._found.codes and self._found.method == "float8"
        numbers = exact(flat) if of_float8 else scaled(flat)
        width = max(map(len, (*numbers.texts, str(columns[-1]))))
        texts = rows_of(numbers.texts, count)
        shade = _shades(grid)
        for start in range(0, count, self._fit):
            stop = min(start + self._fit, count)
            table = _table(f"{title}{numbers.unit}{words}" if start == 0 else "")
            for column in columns[start:stop]:
                table.add_column(f"{column:>{width}}", no_wrap=True)
            for row, values, cells in zip(self._found.shown_rows, grid, texts, strict=True):
                shown = zip(cells[start:stop], values[start:stop], strict=True)
                shaded = (Text(text.rjust(width), style=shade(value)) for text, value in shown)
                table.add_row(str(row), *shaded)
            yield table


def _shades(grid: Grid) -> Callable[[float], str]:
    """Return what gives the style of a number: deeper the farther from 0, by its sign."""
    finite = [abs(value) for row in grid for value in row if math.isfinite(value)]
    largest = max(finite, default=0) or 1

    def style(value: float) -> str:
        share = min(abs(value) / largest, 1.0)
        full = NEGATIVE if value < 0 else POSITIVE
        mixed = (round(w + share * (f - w)) for w, f in zip(WHITE, full, strict=True))
        return "black on #{:02x}{:02x}{:02x}".format(*mixed)

    return style


def _spans(found: Explanation) -> Table:
    """Return the first three steps, with their numbers for each row or group."""
    steps = enumerate(found.steps[:3], start=1)
    title = "\n".join(f"{n}  {s.title}: {s.formula}\n   {s.words}" for n, s in steps)
    columns: dict[str, list[float | None]] = {
        "min r": [span.minimum for span in found.spans],
        "max r": [span.maximum for span in found.spans],
    }
    if found.method != "affine":
        columns["a"] = [span.largest for span in found.spans]
    columns["S"] = [span.scale for span in found.spans]
    if found.method == "affine":
        columns["shift"] = [span.shift for span in found.spans]
        columns["shift / S"] = [_ratio(span) for span in found.spans]
    columns["Z"] = [span.zero_point for span in found.spans]
    return _by_span(found, title, columns)


def _ratio(span: Span) -> float | None:
    return span.shift / span.scale if span.shift is not None and span.scale else None


def _bounds(found: Explanation) -> Table:
    """Return the bound of the error for each row or group, and how near the errors come to it."""
    exact = found.method in ("symmetric", "affine")
    title = f"bound and largest error of each {'group' if found.is_grouped else 'row'}"
    columns: dict[str, list[float | None]] = {
        "S / 2" if exact else "S spacing / 2": [span.half_step for span in found.spans],
        "max |e|": [span.max_error for span in found.spans],
    }
    verdicts = [_verdict(span) for span in found.spans]
    shares = [f"{span.share:.1%}" if span.half_step else "" for span in found.spans]
    texts = {"of the bound" if exact else "of its own bound": shares, "": verdicts}
    return _by_span(found, title, columns, texts)


def _verdict(span: Span) -> str:
    if span.clipped:
        return f"{span.clipped} clipped"
    if span.share <= 1:
        return "within"
    return "above: rounding" if span.max_error <= span.limit else "above"


def _by_span(
    found: Explanation,
    title: str,
    numbers: dict[str, list[float | None]],
    texts: dict[str, list[str]] | None = None,
) -> Table:
    """Return a table with a line for each row or group."""
    table = _table(title)
    cells = [[str(span.row) for span in found.spans]]
    if found.is_grouped:
        table.add_column("columns", no_wrap=True)
        cells.append([_columns(span) for span in found.spans])
    for name, values in numbers.items():
        column = scaled(values)
        table.add_column(f"{name}{column.unit}", justify="right", no_wrap=True)
        cells.append([*column.texts])
    for name, words in (texts or {}).items():
        table.add_column(name, justify="right", no_wrap=True)
        cells.append(words)
    for line in zip(*cells, strict=True):
        table.add_row(*map(escape, line))
    return table


def _columns(span: Span) -> str:
    every = f" by {span.columns.step}" if span.columns.step > 1 else ""
    return f"{span.columns[0]} to {span.columns[-1]}{every}"


def _comparison(found: Explanation) -> Table:
    """Return how the dtype and the casts do on the same values."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("dtype", no_wrap=True)
    every = found.comparisons
    errors = scaled([error for c in every for error in (c.max_error, c.mean_error)])
    count = len(found.original) * len(found.original[0])
    unit = f", errors in 1e{errors.exponent}" if errors.exponent else ""
    table.title = f"against a cast, on these {count} values{unit}"
    cells = [[c.dtype for c in every], [f"{c.bits:.3f}" for c in every]]
    cells += [[*errors.texts[::2]], [*errors.texts[1::2]]]
    heads = ["bits per value", "max |e|", "mean |e|"]
    heads += ["SQNR, dB", "of the rows"]
    cells += [[decibels(c.sqnr) for c in every], [decibels(c.row_sqnr) for c in every]]
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for line in zip(*cells, strict=True):
        table.add_row(*line)
    return table


def _table(title: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title)
    table.add_column("row", justify="right", no_wrap=True)
    return table


def worked_lines(found: Explanation) -> Iterator[str]:
    """Yield one value step by step."""
    worked = found.worked
    index = ", ".join(map(str, worked.index))
    yield f"one value, that with the largest error: row {worked.row}, column {worked.column}"
    yield f"  r  = {worked.value:.7g}    weight[{index}]"
    if found.codes is not None:
        yield from _worked_steps(found)
    yield f"  r' = {worked.restored:.7g}"
    sign = "<=" if abs(worked.error) <= worked.half_step else ">"
    yield f"  e  = {worked.error:.3g}, |e| {sign} {worked.half_step:.3g}"


def _worked_steps(found: Explanation) -> Iterator[str]:
    worked = found.worked
    span = found.span_at(worked.row, worked.column)
    weight_format = format_named(found.weights)
    if span.shift is None:
        yield f"  S  = {span.largest:.7g} / {weight_format.maximum:g} = {span.scale:.7g}"
        name = weight_format.storage if found.method == "float8" else "round"
        yield f"  q  = {name}(r / S) = {name}({worked.quotient:.4f}) = {worked.code:g}"
        yield f"  r' = S q = {span.scale:.7g} * {worked.code:g}"
        return
    high = f"{weight_format.maximum:g}"
    yield f"  S  = ({span.maximum:.7g} - ({span.minimum:.7g})) / {high} = {span.scale:.7g}"
    yield f"  q  = round((r + shift) / S) = round({worked.quotient:.4f}) = {worked.code:g}"
    yield f"  r' = S q - shift = {span.scale:.7g} * {worked.code:g} - {span.shift:.7g}"
