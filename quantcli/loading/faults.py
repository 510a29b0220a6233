"""Whatever ends the loading of a frozen directory, as an error that names the directory."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quantcli.errors import MachineError, ModelError, QuantcliError
from quantcli.formats import SECTION

MOST = 10_000_000
"""No model has more layers, heads, experts or labels than this."""

_COUNTS = re.compile(r"block|codebook|depth|expert|head|label|layer|stage")


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


def check_counts(config: Mapping[str, Any], folder: Path) -> None:
    """Refuse a config from which transformers would make lists without end.

    Raises `ModelError` that names the key.
    """
    for key, value in config.items():
        if isinstance(value, Mapping) and key != SECTION:
            check_counts(value, folder)
            continue
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and number > MOST and _COUNTS.search(key):
                raise ModelError(f"{folder / 'config.json'} is damaged: {key} is {number}")


@contextmanager
def parameters_limited(stored: int, folder: Path) -> Iterator[None]:
    """Raise `ModelError` as soon as a model of far more parameters than are stored is built.

    Only what this thread builds is counted. A parameter may be built a few times: as part of a
    module that is replaced, say.
    """
    from torch.nn.modules.module import register_module_parameter_registration_hook

    left = 4 * stored + 10_000
    thread = threading.get_ident()

    def count(*_: Any) -> None:
        nonlocal left
        left -= threading.get_ident() == thread
        if left < 0:
            raise ModelError(
                f"{folder / 'config.json'} does not fit the weights: it asks for a model of far "
                f"more than the {stored} tensors that are stored"
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
