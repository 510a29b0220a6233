"""What exists: a model's config, its tensors and its files, in a folder or on the Hub."""

from __future__ import annotations

from pathlib import Path

from quantcli.checkpoint.folder import Folder
from quantcli.checkpoint.foreign import nearest_folder, no_such_folder, not_a_folder
from quantcli.checkpoint.model import Checkpoint, read_checkpoint
from quantcli.checkpoint.records import ModelFiles, TensorRecord
from quantcli.errors import ModelError, UsageError
from quantcli.files import read_error
from quantcli.paths import model_name

__all__ = ["Checkpoint", "TensorRecord", "find_files", "open_checkpoint"]


def open_checkpoint(
    model: str, *, revision: str | None = None, progress: bool = False
) -> Checkpoint:
    """Open a model by folder, by Hub id ("org/name" or "org/name@revision") or by its page.

    An existing folder wins. Reads the config and the headers only. `progress` lets
    huggingface_hub show its progress bars. Raises `ModelError`, `MachineError` or, for
    revisions that contradict each other, `UsageError`.
    """
    return read_checkpoint(find_files(model, revision, progress=progress))


def find_files(model: str, revision: str | None = None, *, progress: bool = False) -> ModelFiles:
    """Return the files of a folder or a Hub repo, listed but not read.

    Options and errors are those of `open_checkpoint`.
    """
    model = model_name(model)
    if model and _exists(model):
        if revision is not None:
            raise UsageError(
                f"{model} is a folder: it has no revision {revision}",
                hint="--revision is for models on the Hub",
            )
        if Path(model).is_file():
            raise not_a_folder(Path(model))
        return Folder(model)
    repo, _, named = model.partition("@")
    if _looks_like_path(repo):
        raise no_such_folder(model)
    if model.endswith("@"):
        raise UsageError(f"{model}: the revision after the @ is missing")
    if named and revision is not None and named != revision:
        raise UsageError(f"two revisions: {named} in {model}, and --revision {revision}")

    from quantcli.checkpoint.hub import HubRepo

    try:
        return HubRepo(repo, revision or named or None, progress=progress)
    except ModelError as error:
        near = nearest_folder(repo)
        if near is not None:
            error.hint = f"did you mean the folder {near}? If not, {error.hint}"
        raise


def _exists(model: str) -> bool:
    try:
        Path(model).stat()
    except PermissionError as error:
        raise read_error(error, model) from error
    except (OSError, ValueError, RuntimeError):
        # It is no valid path, but may still be the name of a repo.
        return False
    return True


def _looks_like_path(model: str) -> bool:
    return model.startswith((".", "/", "~")) or model.endswith("/") or model.count("/") > 1
