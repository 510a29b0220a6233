"""A checkpoint in a local folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from quantcli.checkpoint.records import ModelFiles
from quantcli.checkpoint.soundness import truncated
from quantcli.errors import ModelError
from quantcli.files import read_error


class Folder(ModelFiles):
    """The files in a folder and its subfolders, as they were when it was opened; follows links.

    Raises `ModelError` if there is no such folder, `MachineError` without permission to read it.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.revision = None
        self._root = Path(model)
        self._sizes = list_files(self._root)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Every file and its bytes."""
        return self._sizes

    def path(self, file: str) -> Path:
        """Return the path of a file."""
        return self._root / file

    def cached(self, file: str) -> Path | None:
        """Return the path of a file: every file of a folder is local."""
        return self.path(file)

    def fetch(self, files: Iterable[str]) -> Path:
        """Return the folder: there is nothing to download."""
        del files
        return self._root

    def read_range(self, file: str, start: int, nbytes: int) -> bytes:
        """Return exactly `nbytes` bytes of a file, from `start`."""
        return read_file_range(self.path(file), file, start, nbytes)


def read_file_range(path: Path, name: str, start: int, nbytes: int) -> bytes:
    """Return exactly `nbytes` bytes of the file at `path`, from `start`.

    Raises `ModelError` if the file ends before that, and then calls it `name`; `MachineError`
    without permission to read it.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            content = stream.read(nbytes)
    except OSError as error:
        raise read_error(error, path) from error
    if len(content) < nbytes:
        raise truncated(name, nbytes - len(content))
    return content


def list_files(root: Path) -> dict[str, int]:
    """Return every file in a folder and its subfolders with its bytes; leaves out hidden folders.

    Raises `ModelError` if there is no such folder, `MachineError` without permission to read it.
    """
    try:
        return dict(_walk(root, "", seen=set()))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(f"no such folder: {root}") from error
    except OSError as error:
        raise read_error(error, error.filename or root) from error


def _walk(folder: Path, prefix: str, seen: set[tuple[int, int]]) -> Iterator[tuple[str, int]]:
    # a link to a parent folder would never end
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_symlink() and _leads_nowhere(entry):
                continue
            if entry.is_dir():
                # hidden folders are not part of a model, and .git may be large
                if not entry.name.startswith("."):
                    yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", seen)
            elif entry.is_file():
                yield f"{prefix}{entry.name}", entry.stat().st_size


def _leads_nowhere(link: os.DirEntry[str]) -> bool:
    """Return whether a link points to nothing, or to itself."""
    try:
        link.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return True
        raise
    return False
