"""What a checkpoint holds: one record per tensor, and the files that its bytes are in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

CONFIG = "config.json"
MODULES = "modules.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRecord:
    """Where a tensor lies and what it is, without its values.

    `file` is a POSIX path relative to the folder or repo; `dtype` is torch's name ("float32");
    `offset` is the absolute byte offset of the first element in that file. A `strided` tensor is
    not one contiguous run of bytes there: only `Checkpoint.read` can give it.
    """

    name: str
    file: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    strided: bool = False


class ModelFiles(ABC):
    """The files of a model, in a folder or on the Hub, by POSIX paths relative to its root."""

    model: str
    """The Hub id without a revision, or the folder as it was given."""

    revision: str | None
    """The commit of a Hub repo; None for a folder."""

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """The bytes of every file."""

    @abstractmethod
    def read_range(self, file: str, start: int, nbytes: int) -> bytes:
        """Return exactly `nbytes` bytes of a file, from `start`.

        Raises `ModelError` if the file ends before that.
        """

    @abstractmethod
    def path(self, file: str) -> Path:
        """Return the local path of a file; of a Hub repo, of a file that was fetched."""

    @abstractmethod
    def cached(self, file: str) -> Path | None:
        """Return the local path of a file if it can be read from this machine's disk."""

    @abstractmethod
    def fetch(self, files: Iterable[str]) -> Path:
        """Download the files that are not on this machine, and return their folder."""

    def read_all(self, file: str) -> bytes:
        """Return a whole (small) file; a remote one is kept on disk."""
        self.fetch([file])
        return self.read_range(file, 0, self.path(file).stat().st_size)
