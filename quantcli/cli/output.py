"""Where words go: results to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from quantcli.errors import MachineError

if TYPE_CHECKING:
    from rich.table import Table

PIPE_WIDTH = 160
"""Columns of a table that no terminal shows: wide enough that no cell wraps."""


CLOSED_PIPE = 141
"""The exit code where nobody reads on: what a shell says of a program that SIGPIPE ended."""


def say(text: str) -> None:
    """Print a line of the result on standard output.

    Raises `MachineError` where it cannot be written, and ends the command where its reader left.
    """
    try:
        typer.echo(text)
    except BrokenPipeError as error:
        _discard_output()
        raise typer.Exit(CLOSED_PIPE) from error
    except OSError as error:
        _discard_output()
        raise MachineError(f"cannot write to standard output: {error.strerror}") from error


def tell(text: str) -> None:
    """Print a line on standard error; no work is lost where that cannot be written."""
    with contextlib.suppress(OSError):
        typer.echo(text, err=True)


def open_closed_streams() -> None:
    """Give a process that was started without standard output or error the null device."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123


def _discard_output() -> None:
    """Let what is still in the buffer go nowhere when the process ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def print_json(data: dict[str, Any]) -> None:
    """Print the one JSON object that standard output holds."""
    say(json.dumps(data, indent=2))


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal, or wide enough for a pipe.

    Its title and caption go before and after it: rich would wrap them at the table's width. On a
    narrow terminal lines run over: rich would leave out what does not fit.
    """
    from rich.console import Console
    from rich.measure import Measurement

    text = io.StringIO()
    console = Console(file=text, force_terminal=sys.stdout.isatty(), highlight=False)
    title, caption = table.title, table.caption
    table.title = table.caption = None
    least = Measurement.get(console, console.options.update_width(PIPE_WIDTH), table).minimum
    console.width = max(console.width, least) if console.is_terminal else PIPE_WIDTH
    console.print(title, style="bold", soft_wrap=True, markup=False)
    console.print(table)
    if caption:
        console.print(caption, soft_wrap=True, markup=False)
    say("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def warn(notices: Iterable[str]) -> None:
    """Print what the user should know on standard error."""
    for notice in notices:
        tell(f"warning: {notice}")


def gigabytes(nbytes: int) -> str:
    """Return bytes in the decimal unit that suits them: 1 GB = 10^9 bytes."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if nbytes >= size:
            return f"{nbytes / size:.3f} {unit}"
    return f"{nbytes} B"
