"""Errors of loading a frozen directory, which name that directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from quantcli.errors import MachineError, ModelError, QuantcliError
from quantcli.text import first_line


@contextmanager
def naming_folder(folder: Path) -> Iterator[None]:
    """Add the directory to the `ModelError`s that are raised inside."""
    try:
        yield
    except ModelError as error:
        named = str(folder) in error.message
        message = error.message if named else f"{folder}: {error.message}"
        raise ModelError(message, hint=error.hint or _hint(folder)) from error


def load_error(folder: Path) -> Callable[[BaseException], QuantcliError]:
    """Return what makes our error of one that transformers or a model's code raised."""

    def explain(error: BaseException) -> QuantcliError:
        import torch

        message = f"cannot load {folder}: {first_line(error)}"
        if isinstance(error, torch.OutOfMemoryError):
            return MachineError(message)
        return ModelError(message, hint=_hint(folder))

    return explain


def _hint(folder: Path) -> str:
    return f"quantcli verify {folder} checks whether its files have changed"
