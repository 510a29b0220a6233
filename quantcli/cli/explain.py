"""`quantcli explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantcli.cli import options
from quantcli.cli.completing import completers
from quantcli.cli.terminal.output import print_json, print_result, print_table, warn
from quantcli.errors import UsageError

if TYPE_CHECKING:
    from quantcli.explanation import Explanation

EXAMPLES = """\b
Examples:
  quantcli explain sentence-transformers/all-MiniLM-L6-v2
  quantcli explain ./my-model "*.down_proj" -w int4 --at 10,0 --png int4.png
"""

LARGEST = 64
"""Maximum rows and columns of a slice."""


def _at(value: str | None) -> str | None:
    parse_place(value)
    return value


def parse_place(text: str | None) -> tuple[int, int] | None:
    """Return the row and column in "3,100". Raises `UsageError`."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(part.isdecimal() and part.isascii() for part in parts):
        raise UsageError(f"--at: not a row and a column: {text}", hint="write it like 3,100")
    return int(parts[0]), int(parts[1])


def explain(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Hub id (org/name or org/name@revision), or folder.",
            autocompletion=completers.models,
            show_default=False,
        ),
    ],
    tensor: Annotated[
        str | None,
        typer.Argument(
            metavar="TENSOR",
            help="Name of a parameter or module, or a glob. [default: a typical weight]",
            show_default=False,
        ),
    ] = None,
    weights: options.Weights = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="ROW,COLUMN",
            callback=_at,
            help="First value to show. [default: around the first row's largest value]",
        ),
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", metavar="N", min=1, max=LARGEST, help="Rows to show.")
    ] = 6,
    columns: Annotated[
        int, typer.Option("--columns", metavar="N", min=1, max=LARGEST, help="Columns to show.")
    ] = 6,
    group_size: options.GroupSize = None,
    revision: options.Revision = None,
    class_name: options.ClassName = None,
    trust_remote_code: options.TrustRemoteCode = False,
    as_json: options.Json = False,
    png: Annotated[
        Path | None,
        typer.Option(
            "--png", metavar="FILE", callback=options.home, help="Also draw it, as a PNG file."
        ),
    ] = None,
    html: options.Html = None,
) -> None:
    """Explain how a weight is quantized, step by step, in numbers.

    Shows a slice of the weight: the extreme values, the scale, the zero point and the integers, as
    Quanto computes them, then the values mapped back, the error and its bound, and what a cast to
    float16 or bfloat16 does to the same values.
    """
    from quantcli.api.explaining import explain as explain_weight

    _check_picture(png, rows, columns)
    if html is not None:
        from quantcli.page import check_page

        check_page(html)
    found = explain_weight(
        model,
        tensor,
        weights=weights or "int8",
        at=parse_place(at),
        rows=rows,
        columns=columns,
        group_size=group_size,
        revision=revision,
        class_name=class_name,
        trust_remote_code=trust_remote_code,
    )
    warn(found.notices)
    _write(found, png, html)
    if as_json:
        from quantcli.explanation.record import to_json

        print_json(to_json(found))
    else:
        _show(found)


def _check_picture(png: Path | None, rows: int, columns: int) -> None:
    """Raise the error for a picture that cannot be drawn or written, before anything is done."""
    if png is None:
        return
    from quantcli.explanation.picture import check_size
    from quantcli.files import check_writable
    from quantcli.page import check_installed

    check_size(rows, columns)
    check_installed(("matplotlib",))
    check_writable(png)


def _write(found: Explanation, png: Path | None, html: Path | None) -> None:
    if png is not None:
        from quantcli.explanation.picture import draw
        from quantcli.files import write_report

        write_report(png, draw(found))
    if html is not None:
        from quantcli.explanation.page import page
        from quantcli.page import write_page

        write_page(html, page(found))


def _show(found: Explanation) -> None:
    from quantcli.cli.tables.explain import tables, worked_lines
    from quantcli.cli.terminal.output import table_width

    for table in tables(found, table_width()):
        print_table(table)
    print_result("\n".join([*worked_lines(found), "", *(f"source: {s}" for s in found.sources)]))
