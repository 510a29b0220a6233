"""The report as Markdown, for a pull request or a job summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from quantcli.comparison.gates import Judgement
from quantcli.comparison.reports.formats import report_format
from quantcli.comparison.reports.report import Report
from quantcli.comparison.reports.rows import (
    CHANGE_COLUMNS,
    CODE,
    GATE_COLUMNS,
    METRIC_COLUMNS,
    NUMBERS,
    SIDE_COLUMNS,
    UNREACHED_COLUMNS,
    UNREACHED_TITLE,
    change_rows,
    environment,
    gate_rows,
    metric_rows,
    shown_texts,
    side_rows,
    subject,
    texts_left_out,
    unreached_rows,
    verdict,
)
from quantcli.comparison.results import Generated

_SPECIAL = re.compile(r"([\\`*_~|<\[\]&$])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@report_format("markdown")
def markdown(report: Report) -> str:
    """Return the report as GitHub's Markdown."""
    comparison = report.comparison
    sides = f"{escape(comparison.quantized.model)} against {escape(comparison.original.model)}"
    parts = [f"# {sides}", _verdict(report.judgement), subject(comparison)]
    parts += _section("Gates", GATE_COLUMNS, gate_rows(report))
    parts += _section("Metrics", METRIC_COLUMNS, metric_rows(comparison))
    parts += _section("Original and quantized", SIDE_COLUMNS, side_rows(comparison))
    parts += _section("Against the baseline", CHANGE_COLUMNS, change_rows(report))
    parts += _texts(comparison.generated)
    parts += _section(UNREACHED_TITLE, UNREACHED_COLUMNS, unreached_rows(comparison))
    parts += _notices(comparison.notices)
    return "\n\n".join([*parts, escape(", ".join(environment(comparison)))]) + "\n"


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, also in a table cell."""
    lines = [
        _CONTROL.sub("\N{REPLACEMENT CHARACTER}", line) for line in text.expandtabs(1).splitlines()
    ]
    return "<br>".join(_SPECIAL.sub(r"\\\1", line) for line in lines)


def _code(text: str) -> str:
    return escape(text) if re.search(r"[`|\n\r]", text) else f"`{text}`"


def _verdict(judgement: Judgement) -> str:
    words, sentence = verdict(judgement)
    return f"**{words}**{sentence}."


def _section(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = [
        _row(
            _code(cell) if column in CODE else escape(cell)
            for column, cell in zip(columns, cells, strict=True)
        )
        for cells in rows
    ]
    if lines:
        yield f"## {title}"
        yield _table(columns, lines)


def _texts(generated: Sequence[Generated]) -> Iterator[str]:
    if not generated:
        return
    shown = shown_texts(generated)
    rows = [
        (text.prompt, text.original, text.quantized, "yes" if text.same else "no") for text in shown
    ]
    columns = ("prompt", "text of the original", "text of the quantized", "same")
    yield "## Generated texts"
    yield _table(columns, [_row(map(escape, row)) for row in rows])
    if len(shown) < len(generated):
        yield texts_left_out(generated)


def _notices(notices: Sequence[str]) -> Iterator[str]:
    if notices:
        yield "## Notices"
        yield "\n".join(f"- {escape(notice)}" for notice in notices)


def _table(columns: Sequence[str], lines: Iterable[str]) -> str:
    rule = ["---:" if column in NUMBERS else "---" for column in columns]
    return "\n".join([_row(columns), _row(rule), *lines])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
