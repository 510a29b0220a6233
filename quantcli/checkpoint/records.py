"""What a checkpoint holds: one record per tensor, and the source that its bytes come from."""

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


class Source(ABC):
    """The files of a model, wherever they are. Names are POSIX paths relative to its root."""

    model: str
    """The Hub id without a revision, or the folder as it was given."""

    revision: str | None
    """The commit of a Hub repo; None for a folder."""

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """Every file that is there, and its bytes."""

    @abstractmethod
    def read_range(self, file: str, start: int, nbytes: int) -> bytes:
        """Return exactly `nbytes` bytes of a file, from `start`.

        Raises `ModelError` where the file ends before that.
        """

    @abstractmethod
    def path(self, file: str) -> Path:
        """Return the local path of a file; of a Hub repo, of a file that was fetched."""

    @abstractmethod
    def cached(self, file: str) -> Path | None:
        """Return the local path of a file if it can be read from this machine's disk."""

    @abstractmethod
    def fetch(self, files: Iterable[str]) -> Path:
        """Bring files to this machine, where they are not here yet, and return their folder."""

    def read_all(self, file: str) -> bytes:
        """Return a whole (small) file, kept on disk for the next time where it is remote."""
        self.fetch([file])
        return self.read_range(file, 0, self.path(file).stat().st_size)
