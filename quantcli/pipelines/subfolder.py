"""The files of one component of a pipeline, seen as those of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from quantcli.checkpoint.records import ModelFiles


class Subfolder(ModelFiles):
    """A view of the files in a folder of a pipeline: that folder is the root."""

    def __init__(self, files: ModelFiles, folder: str) -> None:
        self.model = f"{files.model.rstrip('/')}/{folder}"
        self.revision = files.revision
        self._files = files
        self._prefix = f"{folder}/"
        self._sizes = {
            name.removeprefix(self._prefix): size
            for name, size in files.sizes.items()
            if name.startswith(self._prefix)
        }

    @property
    def sizes(self) -> Mapping[str, int]:
        """Every file in the folder and its bytes."""
        return self._sizes

    def read_range(self, file: str, start: int, nbytes: int) -> bytes:
        """Return exactly `nbytes` bytes of a file, from `start`."""
        return self._files.read_range(self._prefix + file, start, nbytes)

    def path(self, file: str) -> Path:
        """Return the local path of a file."""
        return self._files.path(self._prefix + file)

    def cached(self, file: str) -> Path | None:
        """Return the local path of a file if it is on this machine, else None."""
        return self._files.cached(self._prefix + file)

    def fetch(self, files: Iterable[str]) -> Path:
        """Download the files that are not on this machine yet, and return their folder."""
        return self._files.fetch(f"{self._prefix}{file}" for file in files) / self._prefix
