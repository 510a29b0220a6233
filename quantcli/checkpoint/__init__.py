"""What exists: a model's config, its tensors and its files, in a folder or on the Hub."""

from __future__ import annotations

from pathlib import Path

from quantcli.checkpoint.folder import Folder
from quantcli.checkpoint.model import Checkpoint, read_checkpoint
from quantcli.checkpoint.records import TensorRecord
from quantcli.errors import ModelError, UsageError

__all__ = ["Checkpoint", "TensorRecord", "open_checkpoint"]


def open_checkpoint(
    model: str, *, revision: str | None = None, progress: bool = False
) -> Checkpoint:
    """Open a model by folder or by Hub id ("org/name" or "org/name@revision").

    An existing folder wins. Reads the config and the headers only. `progress` lets
    huggingface_hub show its own progress bars. Raises `ModelError`, `MachineError` or, for
    revisions that contradict each other, `UsageError`.
    """
    del progress
    if Path(model).expanduser().exists():
        if revision is not None:
            raise UsageError(f"{model} is a folder: it has no revision {revision}")
        return read_checkpoint(Folder(model))
    raise ModelError(f"no such folder: {model}")
