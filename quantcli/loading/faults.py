"""Whatever ends the loading of a frozen directory, as an error that names the directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quantcli.errors import MachineError, ModelError, QuantcliError
from quantcli.text import first_line


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
