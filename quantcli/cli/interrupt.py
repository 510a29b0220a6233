"""What Ctrl-C does: exit at once, or, while there are files to clean up, KeyboardInterrupt."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from quantcli.cli.terminal.output import print_message

INTERRUPTED = 130


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """Exit at once on Ctrl-C, until `unwind_on_interrupt` is called.

    An exception that is raised while torch is being imported may get lost, or abort the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def unwind_on_interrupt() -> None:
    """Raise KeyboardInterrupt on Ctrl-C from now on: there are files to clean up."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def interrupted(output: Path) -> typer.Exit:
    """Say that a run was interrupted, and whether `output` can be resumed; return how to exit."""
    from quantcli.frozen.staging import partial_folder

    print_message("error: interrupted")
    if partial_folder(output).exists():
        print_message("hint: run the same command again to resume")
    return typer.Exit(INTERRUPTED)


def _exit(*_: object) -> None:
    os.write(sys.stderr.fileno(), b"error: interrupted\n")
    os._exit(INTERRUPTED)
