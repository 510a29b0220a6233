"""The tensors of a checkpoint, one record each, and the files that they are in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

CONFIG = "config.json"
MODULES = "modules.json"
PIPELINE = "model_index.json"

ENTRANCES = (CONFIG, MODULES, PIPELINE)
"""Files that are read first: one of them says what a folder or repo is."""

WEIGHT_SUFFIXES = (
    ".bin",
    ".ckpt",
    ".gguf",
    ".h5",
    ".msgpack",
    ".pkl",
    ".pt",
    ".pth",
    ".safetensors",
)
"""Suffixes of files that a library may load weights from."""

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "source.spm",
    "target.spm",
    "tokenizer.tiktoken",
)
"""Files that transformers loads a tokenizer from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRecord:
    """The place, dtype and shape of a tensor, without its values.

    `file` is a POSIX path relative to the folder or repo; `dtype` is torch's name ("float32");
    `offset` is the byte offset of the first element in the file. The bytes of a `strided` tensor
    are not contiguous: only `Checkpoint.read` can read it.
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
    """The Hub id without a revision, or the folder as given."""

    revision: str | None
    """The commit of a Hub repo; None for a folder."""

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """Every file and its bytes."""

    @abstractmethod
    def read_range(self, file: str, start: int, nbytes: int) -> bytes:
        """Return exactly `nbytes` bytes of a file, from `start`.

        Raises `ModelError` if the file ends before that.
        """

    @abstractmethod
    def path(self, file: str) -> Path:
        """Return the local path of a file. A file of a Hub repo must have been fetched."""

    @abstractmethod
    def cached(self, file: str) -> Path | None:
        """Return the local path of a file if it is on this machine, else None."""

    @abstractmethod
    def fetch(self, files: Iterable[str]) -> Path:
        """Download the files that are not on this machine yet, and return their folder."""

    def read_all(self, file: str) -> bytes:
        """Return a whole (small) file; a remote one is kept in the cache."""
        self.fetch([file])
        return self.read_range(file, 0, self.path(file).stat().st_size)
