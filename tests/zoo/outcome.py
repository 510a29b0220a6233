"""What became of a model type: the step that failed, and why in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from quantcli.errors import QuantcliError
from quantcli.text import first_line, shorten

LONGEST = 150
"""Characters of a reason."""


class Failure(Exception):  # noqa: N818 - it is a result, not a bug
    """A step that failed, and the reason in words."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(step, reason)
        self.step = step
        self.reason = reason


@contextmanager
def step(name: str) -> Iterator[None]:
    """Raise whatever goes wrong inside as a `Failure` of this step."""
    try:
        yield
    except (Failure, MemoryError):
        raise
    except Exception as error:
        raise Failure(name, in_words(error)) from error


def in_words(error: BaseException) -> str:
    """Return one sentence on an error: its message, after its type where it is not our own."""
    text = first_line(error)
    if isinstance(error, QuantcliError):
        text = error.message
    elif not isinstance(error, ImportError):
        name = type(error).__name__
        text = text if text.startswith(f"{name}:") else f"{name}: {text}"
    # paths are those of the machine, and of a temporary folder
    text = re.sub(r"'?/\S+/(\S+?)'?(?=[\s,:>)]|$)", r"\1", " ".join(text.split()))
    return shorten(text.split(". ")[0].removesuffix(" in your environment"), LONGEST)
