"""Small pieces of messages: a few of many names, the first line of an error."""

from __future__ import annotations

from collections.abc import Sequence

_TYPED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    SystemExit,
    TypeError,
)
"""Errors whose words say too little without their type: "KeyError: 'size'"."""


def some(names: Sequence[str], limit: int = 3) -> str:
    """Join the first `limit` names, and say how many more there are."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's words, or its type if it has none."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    if not lines:
        return type(error).__name__
    if lines[0].endswith(":"):
        # huggingface_hub's validation names the field first, and then what is wrong with it
        return " ".join(lines[:2])
    return f"{type(error).__name__}: {lines[0]}" if isinstance(error, _TYPED) else lines[0]
