"""The tables that `compare` prints: metrics, both models, generated texts, gates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

from quantcli.comparison.reports import rows
from quantcli.text import plural, shorten

if TYPE_CHECKING:
    from quantcli.comparison.reports import Report

TEXTS = 5
"""Maximum number of generated texts; the Markdown report and JSON have more."""

WIDTH = 48
"""Maximum number of characters of a generated text."""


def tables(report: Report) -> Iterator[Table]:
    """Yield the tables of a report that have rows, the most important one last."""
    comparison = report.comparison
    synthetic = ", synthetic" if comparison.synthetic else ""
    title = (
        f"{comparison.quantized.model} against {comparison.original.model}: "
        f"{comparison.task}, {plural(comparison.samples, 'sample')}{synthetic}"
        + (f", {comparison.kernels}" if comparison.kernels else "")
    )
    metrics = [row[:3] for row in rows.metric_rows(comparison)]
    yield _table(title, rows.METRIC_COLUMNS[:3], metrics, left=1)
    yield _table("each model", rows.SIDE_COLUMNS, rows.side_rows(comparison), left=1)
    yield from _optional("against the baseline", rows.CHANGE_COLUMNS, rows.change_rows(report))
    yield from _texts(report)
    unreached = rows.unreached_rows(comparison)
    yield from _optional(rows.UNREACHED_TITLE, rows.UNREACHED_COLUMNS, unreached)
    gates = [(f"{name} {limit}", *rest) for name, limit, *rest in rows.gate_rows(report)]
    yield from _optional("gates", ("gate", *rows.GATE_COLUMNS[2:]), gates)


def _texts(report: Report) -> Iterator[Table]:
    generated = report.comparison.generated
    shown = sorted(generated, key=lambda text: text.same)[:TEXTS]
    cells = [
        (
            _short(text.prompt),
            _short(text.original),
            "the same" if text.same else _short(text.quantized),
        )
        for text in shown
    ]
    if cells:
        title = f"generated texts: {sum(t.same for t in generated)} of {len(generated)} the same"
        yield _table(title, ("prompt", "original", "quantized"), cells, left=3)


def _optional(
    title: str, columns: Sequence[str], cells: Iterable[Sequence[str]]
) -> Iterator[Table]:
    found = list(cells)
    if found:
        yield _table(title, columns, found, left=1)


def _table(
    title: str, columns: Sequence[str], cells: Iterable[Sequence[str]], *, left: int
) -> Table:
    """Return a table with the first columns aligned left. Only long texts may wrap."""
    found = list(cells)
    table = Table(box=box.SIMPLE_HEAD, title=title)
    for index, name in enumerate(columns):
        if index < left and left > 1:
            table.add_column(name, overflow="fold")
            continue
        # rich's minimum width is that of the longest word, even without wrapping
        width = max(cell_len(text) for text in (name, *(row[index] for row in found)))
        justify: Literal["left", "right"] = "left" if index < left else "right"
        table.add_column(name, justify=justify, no_wrap=True, min_width=width)
    for row in found:
        table.add_row(*map(escape, row))
    return table


def _short(text: str) -> str:
    return shorten(" ".join(text.split()) or "(nothing)", WIDTH)
