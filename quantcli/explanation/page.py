"""An explanation as an HTML page: the steps with their formulas, numbers and heat maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quantcli.explanation import facts
from quantcli.explanation.explanation import Explanation, Grid
from quantcli.explanation.figures import largest, rows_of, texts_of
from quantcli.explanation.formulas import Step
from quantcli.page import Block, Chart, Facts, Note, Page, Section, Table
from quantcli.page.charts import heat_map

SAME = "; all maps of errors have the same colours"

WORDS = {"dtype", "verdict"}
"""Columns of words; numbers are aligned right."""


def page(found: Explanation) -> Page:
    """Return an explanation as a page."""
    sections = [
        Section("The weight", [*_weight(found)]),
        *_steps(found),
        Section("Error", [*_error(found)]),
        Section("Against a cast", [*_casts(found)]),
        Section("Sources", [*map(Note, found.sources)]),
    ]
    _, how, shown = facts.about(found)
    return Page(title=facts.about(found)[0], subject=f"{how}; {shown}", sections=sections)


def _weight(found: Explanation) -> Iterator[Block]:
    yield Facts(
        pairs={
            "model": found.model,
            "revision": found.revision or "none: a folder",
            "tensor": found.tensor,
            "module": found.kind,
            "shape": " x ".join(map(str, found.shape)),
            "dtype": f"{found.dtype}, to {found.weights}",
        }
    )
    yield from map(Note, found.notices)
    yield _map(found, "The original values r", found.original)


def _steps(found: Explanation) -> Iterator[Section]:
    """Yield the steps up to the values mapped back; a cast has fewer."""
    first = (facts.extremes, facts.scales, facts.zero_points) if found.spans else ()
    for number, (step, columns) in enumerate(zip(found.steps, first, strict=False), start=1):
        table = _table([*facts.labels(found), *columns(found)])
        yield Section(f"{number}. {_title(step)}", [*_formula(step), table])
    if found.codes is None:
        yield Section(_title(found.steps[0]), [*_formula(found.steps[0])])
    else:
        step = found.steps[3]
        chart = _map(found, f"The {step.title} q", found.codes)
        yield Section(f"4. {_title(step)}", [*_formula(step), chart])
    back = found.steps[-2]
    blocks = [*_formula(back), _map(found, "The values r'", found.restored)]
    if found.codes is not None:
        blocks += [Note(f"One value, in row {found.worked.row}, column {found.worked.column}:")]
        blocks += [Table(columns=("step by step",), rows=[[x] for x in facts.worked(found)])]
    yield Section(_title(back), blocks)


def _error(found: Explanation) -> Iterator[Block]:
    yield from _formula(found.steps[-1])
    yield _map(found, "The errors e", found.errors, _limit(found), SAME)
    if found.method in ("float8", "cast"):
        yield _map(found, "The bound of each error", found.half_steps)
    if found.spans:
        yield _table([*facts.labels(found), *facts.bounds(found)])


def _casts(found: Explanation) -> Iterator[Block]:
    """Yield the table of dtypes, and the errors of the casts in the colours of the first map."""
    unit, columns = facts.comparison(found)
    errors = f"Errors are{unit}. " if unit else ""
    yield _table(columns, caption=f"{errors}Bits include the scales.")
    for each in found.comparisons[1:]:
        title = f"The errors of {each.dtype}"
        yield _map(found, title, each.errors, _limit(found), SAME)


def _limit(found: Explanation) -> float:
    """Return the error with the last colour: maps of errors are coloured alike."""
    return largest(*(each.errors for each in found.comparisons))


def _formula(step: Step) -> list[Block]:
    return [Facts(pairs={"formula": step.formula, "note": step.words})]


def _title(step: Step) -> str:
    return step.title[0].upper() + step.title[1:]


def _table(columns: Sequence[facts.Column], caption: str = "") -> Table:
    titles = [column.title for column in columns]
    return Table(
        columns=titles,
        rows=[*zip(*(column.cells for column in columns), strict=True)],
        numbers=frozenset(titles) - WORDS,
        caption=caption,
    )


def _map(
    found: Explanation, title: str, grid: Grid, limit: float | None = None, more: str = ""
) -> Chart:
    """Return a heat map of the slice; 0 has the colour in the middle, except of affine codes."""
    numbers = texts_of(found, grid)
    texts = rows_of(numbers.texts, len(grid[0]))
    columns = [*map(str, found.shown_columns)]
    rows = [*map(str, found.shown_rows)]
    high = limit or largest(grid)
    low = 0.0 if grid is found.codes and found.method == "affine" else -high
    table = Table(
        columns=["row", *columns],
        rows=[[row, *cells] for row, cells in zip(rows, texts, strict=True)],
        numbers=frozenset({"row", *columns}),
    )
    flat = [value for row in grid for value in row]
    return heat_map(
        f"{title}{numbers.unit}",
        grid,
        rows=[f"row {row}" for row in rows],
        columns=columns,
        scale="",
        summary=f"Rows {rows[0]} to {rows[-1]}, columns {columns[0]} to {columns[-1]}: "
        f"from {min(flat):.4g} to {max(flat):.4g}{more}.",
        table=table,
        texts=texts,
        limits=(low, high),
    )
