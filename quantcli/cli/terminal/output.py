"""Output: results go to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from quantcli.cli.terminal.streams import (
    PIPE_WIDTH,
    colour_system,
    has_colours,
    paint,
    paint_prefix,
    printable,
    width_of,
    wrap,
)

if TYPE_CHECKING:
    from rich.table import Table

CLOSED_PIPE = 141
"""The exit code if the reader of standard output is gone: a shell's for an end by SIGPIPE."""


def print_result(text: str) -> None:
    """Print a result on standard output.

    Raises `MachineError` if it cannot be written, and exits if the reader is gone.
    """
    try:
        typer.echo(text, color=has_colours(sys.stdout))
    except BrokenPipeError as error:
        _discard_output()
        raise typer.Exit(CLOSED_PIPE) from error
    except OSError as error:
        _discard_output()
        from quantcli.files import reason, write_error

        raise write_error("to standard output", reason(error)) from error


def print_sentence(text: str) -> None:
    """Print a result in words on standard output; a terminal gets it wrapped at spaces."""
    print_result(wrap(printable(text), sys.stdout))


def print_message(text: str) -> None:
    """Print a message on standard error; if that fails, go on without it.

    On a terminal a long line is wrapped at spaces. A pipe or a log gets it unchanged.
    """
    coloured = has_colours(sys.stderr)
    text = wrap(printable(text), sys.stderr)
    with contextlib.suppress(OSError):
        # not typer.echo, which finds the stream below the one that keeps messages above a bar
        print(paint_prefix(text) if coloured else text, file=sys.stderr, flush=True)


def open_closed_streams() -> None:
    """Use the null device for standard output or error if the process has none."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123


def _discard_output() -> None:
    """Discard what is still buffered, so that flushing it at exit does not fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def print_json(data: dict[str, Any]) -> None:
    """Print the result as one JSON object."""
    import json

    print_result(json.dumps(data, indent=2))


def print_table(table: Table) -> None:
    """Print a table that fits the terminal; in a pipe it is as wide as its cells."""
    from rich.console import Console

    from quantcli.cli.terminal.columns import fit

    coloured = has_colours(sys.stdout)
    width = table_width()
    text = io.StringIO()
    console = Console(
        file=text,
        width=width,
        height=25,  # a console without a height asks the terminal for both
        force_terminal=coloured,
        color_system=colour_system() if coloured else None,
        highlight=False,
    )
    # rich would wrap title and caption at the width of the table
    title, caption = str(table.title or ""), str(table.caption or "")
    table.title = table.caption = None
    table, console.width = fit(table, console, width)
    console.print(table)
    title = wrap(printable(title), sys.stdout)
    lines = [paint(title, "bold") if coloured else title, *text.getvalue().splitlines()]
    if caption:
        lines += [*wrap(printable(caption), sys.stdout).splitlines(), ""]
    print_result("\n".join(line.rstrip() for line in lines))


def table_width() -> int:
    """Return how wide a table may be."""
    return width_of(sys.stdout) if sys.stdout.isatty() else PIPE_WIDTH


def warn(notices: Iterable[str]) -> None:
    """Print each notice as a warning on standard error."""
    for notice in notices:
        print_message(f"warning: {notice}")
