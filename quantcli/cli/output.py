"""Where words go: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

PIPE_WIDTH = 160
"""Columns of a table that no terminal shows: wide enough that no cell wraps."""


def print_json(data: dict[str, Any]) -> None:
    """Print the one JSON object that standard output holds."""
    typer.echo(json.dumps(data, indent=2))


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal, or wide enough for a pipe.

    Its title and caption go before and after it: rich would wrap them at the table's width.
    """
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(file=sys.stdout, width=width, highlight=False)
    title, caption = table.title, table.caption
    table.title = table.caption = None
    console.print(title, style="bold", soft_wrap=True, markup=False)
    console.print(table)
    if caption:
        console.print(caption, soft_wrap=True, markup=False)


def warn(notices: Iterable[str]) -> None:
    """Print what the user should know on standard error."""
    for notice in notices:
        typer.echo(f"warning: {notice}", err=True)


def gigabytes(nbytes: int) -> str:
    """Return bytes in the decimal unit that suits them: 1 GB = 10^9 bytes."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if nbytes >= size:
            return f"{nbytes / size:.3f} {unit}"
    return f"{nbytes} B"
