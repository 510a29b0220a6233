"""The tables that `tune` prints: the frontier of sizes, where the bits went, the gates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape

from quantcli.cli.tables.plans import make_table
from quantcli.comparison.reports.numbers import show, show_apart
from quantcli.text import format_bytes, plural

if TYPE_CHECKING:
    from rich.table import Table

    from quantcli.tuning.result import Tuned


def tables(tuned: Tuned) -> Iterator[Table]:
    """Yield the tables of a result, the most important one last."""
    yield _shares(tuned)
    yield _frontier(tuned)
    yield _gates(tuned)


def _shares(tuned: Tuned) -> Table:
    table = make_table("where the bits went", ["modules", "dtypes"], ["original", "size", "bits"])
    for share in tuned.shares:
        only = len(share.dtypes) == 1
        dtypes = (name if only else f"{name} {count}" for name, count in share.dtypes.items())
        table.add_row(
            escape(share.pattern),
            ", ".join(dtypes),
            format_bytes(share.original_bytes, 2),
            format_bytes(share.nbytes, 2),
            f"{share.bits:.2f}",
        )
    return table


def _frontier(tuned: Tuned) -> Table:
    """Return a row for each size: what was chosen is marked, what was measured is said."""
    names = [*dict.fromkeys(name for point in tuned.frontier for name in point.metrics)]
    title = f"{tuned.model}: size against {', '.join(names)}"
    table = make_table(title, [""], ["size", "ratio", *names])
    table.columns[0].header = "metrics"
    for point in tuned.frontier:
        how = "measured" if point.measured else "predicted"
        table.add_row(
            f"{how}, chosen" if point.chosen else how,
            format_bytes(point.nbytes),
            f"{point.ratio:.3f}",
            *(show(name, point.metrics.get(name)) for name in names),
        )
    return table


def _gates(tuned: Tuned) -> Table:
    comparison = tuned.report.comparison
    title = f"gates: {comparison.task}, {plural(comparison.samples, 'sample')}"
    table = make_table(title, ["gate"], ["value", "verdict"])
    for verdict in tuned.report.judgement.verdicts:
        value, limit = show_apart(verdict.metric, verdict.value, verdict.limit)
        table.add_row(f"{verdict.metric} {verdict.operator} {limit}", value, verdict.outcome)
    return table
