"""Terminals to run commands in, and what they show."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import termios
import threading
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter

CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""An escape code: a colour, or a movement of the cursor."""


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


_STEP = re.compile(
    r"\x1b\[(?P<number>\d*)(?P<move>[AK])|(?P<colour>\x1b\[[0-9;]*m)|\x1b\[\?25[lh]|.", re.DOTALL
)


def shown(written: str) -> str:
    """Return what stays on a terminal, with its colours: what was overwritten is gone."""
    lines: list[list[tuple[str, str]]] = [[]]
    row, column, colour = 0, 0, ""
    for step in _STEP.finditer(written):
        text = step[0]
        if step["colour"]:
            colour = "" if text == "\x1b[0m" else colour + text
        elif step["move"] == "A":
            row = max(row - int(step["number"] or 1), 0)
        elif step["move"] == "K":
            del lines[row][0 if step["number"] == "2" else column :]
        elif text == "\r":
            column = 0
        elif text == "\n":
            row, column = row + 1, 0
            lines += [[] for _ in range(row + 1 - len(lines))]
        elif not text.startswith("\x1b"):
            line = lines[row]
            line += [("", " ")] * (column - len(line))
            line[column : column + 1] = [(colour, text)]
            column += 1
    return "\n".join(map(_coloured, lines)).rstrip() + "\n"


def _coloured(cells: list[tuple[str, str]]) -> str:
    runs = groupby(cells, key=itemgetter(0))
    texts = [(colour, "".join(text for _, text in run)) for colour, run in runs]
    return "".join(f"{colour}{text}\x1b[0m" if colour else text for colour, text in texts).rstrip()


def plain(text: str) -> str:
    """Return a text without escape codes."""
    return CODE.sub("", text)
