"""What a stream is: a terminal or not, how wide, and whether it gets colours. Without rich."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Literal, TextIO
from unicodedata import east_asian_width

PIPE_WIDTH = 10_000
"""The width of a table that goes into a pipe or a file: enough that no cell wraps."""

NARROWEST = 20
"""Lines are wrapped at this width if a terminal is narrower."""

OUTCOMES = {"passed": "green", "failed": "red", "uncertain": "yellow"}
"""Verdict -> its colour. The word says it all: colour is never the only sign."""

_PREFIXES = {"error: ": "bold red", "warning: ": "yellow", "hint: ": "cyan"}

_CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

_CONTROLS = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"
"""Characters that a terminal obeys, apart from tabs and line breaks."""


def has_colours(stream: TextIO) -> bool:
    """Return whether a stream gets escape codes, of colours and of bold text.

    NO_COLOR forbids them, FORCE_COLOR asks for them, in this order; neither counts if empty.
    Otherwise a terminal gets them unless TERM is "dumb".
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return can_redraw(stream)


def colour_system() -> Literal["standard", "256"]:
    """Return whether a terminal with colours has 16 of them or 256, by TERM and COLORTERM."""
    many = "256color" in os.environ.get("TERM", "") or bool(os.environ.get("COLORTERM"))
    return "256" if many else "standard"


def can_redraw(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that can redraw a line, as progress bars do."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def width_of(stream: TextIO) -> int:
    """Return the columns of a terminal: COLUMNS, else what it says itself, else 80."""
    with contextlib.suppress(ValueError):
        if (columns := int(os.environ.get("COLUMNS", ""))) > 0:
            return columns
    try:
        # shutil.get_terminal_size asks standard output, which may be a pipe
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def wrap(text: str, stream: TextIO) -> str:
    """Wrap lines at spaces on a terminal, what follows the first line of each indented.

    A pipe or a log gets them unchanged. A word that is longer than a line stays whole.
    """
    if not stream.isatty():
        return text
    room = max(width_of(stream), NARROWEST)
    return "\n".join("\n  ".join(_fill(line, room)) for line in text.split("\n"))


def _fill(text: str, room: int) -> list[str]:
    lines: list[str] = []
    for word in text.split(" "):
        indent = 2 if len(lines) > 1 else 0
        if lines and indent + _cells(lines[-1]) + 1 + _cells(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _cells(text: str) -> int:
    """Return how many columns a text takes: two for each wide character."""
    return len(text) if text.isascii() else sum(1 + (east_asian_width(c) in "WF") for c in text)


def paint(text: str, style: str) -> str:
    """Return a text with the escape codes of a style: "bold", or "bold red"."""
    codes = ";".join(_CODES[name] for name in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m"


def paint_prefix(text: str) -> str:
    """Return a message with its "error:", "warning:" or "hint:" painted."""
    for prefix, style in _PREFIXES.items():
        if text.startswith(prefix):
            return paint(prefix.rstrip(), style) + text[len(prefix) - 1 :]
    return text


def printable(text: str) -> str:
    """Return a text with a mark for each character that a terminal would obey."""
    return re.sub(_CONTROLS, "\N{REPLACEMENT CHARACTER}", text)
