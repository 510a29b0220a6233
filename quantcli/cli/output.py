"""Output: results go to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 10_000
"""The width of a table that goes into a pipe or a file: enough that no cell wraps."""

CLOSED_PIPE = 141
"""The exit code if the reader of standard output is gone: a shell's for an end by SIGPIPE."""


def print_result(text: str) -> None:
    """Print a result on standard output.

    Raises `MachineError` if it cannot be written, and exits if the reader is gone.
    """
    try:
        typer.echo(text)
    except BrokenPipeError as error:
        _discard_output()
        raise typer.Exit(CLOSED_PIPE) from error
    except OSError as error:
        _discard_output()
        from quantcli.files import reason, write_error

        raise write_error("to standard output", reason(error)) from error


def print_message(text: str) -> None:
    """Print a message on standard error; if that fails, go on without it.

    On a terminal a long line is wrapped at spaces. A pipe or a log gets it unchanged.
    """
    with contextlib.suppress(OSError):
        typer.echo(_wrap(text) if sys.stderr.isatty() else text, err=True)


def _wrap(text: str) -> str:
    """Wrap a line at the width of the terminal; the lines after the first are indented."""
    import textwrap

    return textwrap.fill(
        text,
        width=max(_terminal_width(), 20),
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _terminal_width() -> int:
    # shutil.get_terminal_size asks standard output, which may be a pipe
    with contextlib.suppress(ValueError):
        return int(os.environ.get("COLUMNS", ""))
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


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
    """Print a table that fits the terminal; in a pipe it is as wide as its cells.

    Its title and caption are printed apart: rich would wrap them at the width of the table.
    """
    from rich.console import Console

    from quantcli.cli.columns import fit

    text = io.StringIO()
    console = Console(file=text, force_terminal=sys.stdout.isatty(), highlight=False)
    title, caption = table.title, table.caption
    table.title = table.caption = None
    width = _width(console)
    table, console.width = fit(table, console, width)
    console.print(title, style="bold", soft_wrap=True, markup=False)
    console.print(table)
    if caption:
        console.print(caption, soft_wrap=True, markup=False)
    print_result("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def table_width() -> int:
    """Return how wide a table may be."""
    from rich.console import Console

    return _width(Console(force_terminal=sys.stdout.isatty()))


def _width(console: Console) -> int:
    return console.width if console.is_terminal else PIPE_WIDTH


def warn(notices: Iterable[str]) -> None:
    """Print each notice as a warning on standard error."""
    for notice in notices:
        print_message(f"warning: {notice}")
