"""Whatever ends the loading of a frozen directory, as an error that names the directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quantcli.errors import MachineError, ModelError, QuantcliError


@contextmanager
def model_errors(folder: Path) -> Iterator[None]:
    """Turn what transformers raises for a damaged directory into a `ModelError`."""
    import torch

    hint = f"quantcli verify {folder} tells whether its files have changed"
    try:
        yield
    except ModelError as error:
        named = str(folder) in error.message
        message = error.message if named else f"{folder}: {error.message}"
        raise ModelError(message, hint=error.hint or hint) from error
    except (QuantcliError, MemoryError):
        raise
    except torch.OutOfMemoryError as error:
        raise MachineError(f"cannot load {folder}: {first_line(error)}") from error
    except (Exception, SystemExit) as error:  # a damaged config ends anywhere, and so does code
        raise ModelError(f"cannot load {folder}: {first_line(error)}", hint=hint) from error


def first_line(error: BaseException) -> str:
    """Return what an error says, with its type where the words alone say too little."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    if lines and lines[0].endswith(":"):
        # huggingface_hub's validation names the field first, and then what is wrong with it
        return " ".join(lines[:2])
    if lines and isinstance(error, OSError | ValueError | RuntimeError):
        return lines[0]
    return ": ".join([type(error).__name__, *lines[:1]])
