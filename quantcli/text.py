"""Pieces of messages: a few of many names, a number with its noun, the first line of an error."""

from __future__ import annotations

import re
from collections.abc import Sequence

_UNITS = (("GB", 10**9), ("MB", 10**6), ("KB", 10**3))


def some(
    names: Sequence[str], limit: int = 3, *, separator: str = ", ", noun: str | None = None
) -> str:
    """Join the first `limit` names, and add how many more there are: "a, b, c and 2 more".

    With the noun "kind" it ends in "and 2 more kinds". Any other separator than a comma also stands
    before "and".
    """
    shown, more = separator.join(names[:limit]), len(names) - limit
    if more <= 0:
        return shown
    rest = f"{more} more" if noun is None else plural(more, f"more {noun}")
    return f"{shown}{' ' if separator == ', ' else separator}and {rest}"


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: "1 tensor", "3 tensors"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_bytes(number: float, decimals: int = 3) -> str:
    """Return a number of bytes with a decimal unit: 1 GB = 10^9 bytes."""
    for unit, size in _UNITS:
        if abs(number) >= size:
            return f"{number / size:.{decimals}f} {unit}"
    return f"{number:.0f} B"


def shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters of a text; an ellipsis takes the place of the rest."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message.

    The error's type comes first if the message says too little: if there is none, or if it is only
    a key (`KeyError`) or an exit code (`SystemExit`).
    """
    lines = [line.strip() for line in str(error).strip().splitlines()]
    if not lines or isinstance(error, KeyError | SystemExit):
        return ": ".join([type(error).__name__, *lines[:1]])
    # huggingface_hub's validation errors name the field first, and on the next line what is wrong
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def layer_pattern(name: str) -> str:
    """Return the name of a module or tensor with `*` for each number: `layers.*.mlp.weight`."""
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name)  # compiled on first use: start-up is short
