"""The errors that a user sees, each with an exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class QuantcliError(Exception):
    """An error that the user can understand, and often fix.

    `message` says what failed and where; `hint`, if there is one, says what to do about it.
    `exit_code` is the exit code of the command line.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class VerificationError(QuantcliError):
    """A gate or a checksum failed."""

    exit_code = 1


class UsageError(QuantcliError):
    """The command or the recipe asks for something that does not exist."""

    exit_code = 2


class ModelError(QuantcliError):
    """The model is missing, unreadable, damaged or not supported."""

    exit_code = 3


class MachineError(QuantcliError):
    """The machine lacks space, permission or memory."""

    exit_code = 4


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word closest to `word`, or None if none is close."""
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.5)
    return lower[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint with the known word closest to `word`, or with all known words."""
    names = list(known)
    close = closest(word, names)
    return f"did you mean {close}?" if close else f"one of: {', '.join(names)}"
