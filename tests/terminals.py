"""Terminals to run commands in, and what they show."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import termios
import threading
from collections.abc import Callable, Iterator

CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""An escape code: a colour, or a movement of the cursor."""

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@contextlib.contextmanager
def terminal(columns: int) -> Iterator[tuple[str, Callable[[], str]]]:
    """Make a terminal of so many columns; yield its name, and a function that returns all of it.

    What is written is read at once, as by a terminal: a program never waits for it.
    """
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (25, columns))
    chunks: list[bytes] = []

    def drain() -> None:
        # the terminal ends with an error once nobody has it open
        with contextlib.suppress(OSError):
            while chunk := os.read(reader, 65536):
                chunks.append(chunk)

    thread = threading.Thread(target=drain)
    thread.start()
    streams = [writer]

    def read() -> str:
        os.close(streams.pop())
        thread.join()
        return b"".join(chunks).decode().replace("\r\n", "\n")

    try:
        yield os.ttyname(writer), read
    finally:
        for stream in streams:
            os.close(stream)
        thread.join()
        os.close(reader)


def shown(written: str) -> str:
    """Return what stays on a terminal, with its colours: lines that were redrawn are gone."""
    lines = [""]
    for part in re.split(r"(\n|\r|\x1b\[1A|\x1b\[2K|\x1b\[\?25[lh])", written):
        if part == "\n":
            lines.append("")
        elif part == "\x1b[1A":
            lines.pop()
        elif part in ("\r", "\x1b[2K"):
            lines[-1] = "" if part == "\x1b[2K" else lines[-1]
        elif not part.startswith("\x1b[?25"):
            lines[-1] += part
    return "\n".join(lines)


def plain(text: str) -> str:
    """Return a text without escape codes."""
    return CODE.sub("", text)
