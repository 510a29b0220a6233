"""Whole tensors, read by the libraries that wrote the files, without running code in them."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from quantcli.checkpoint.records import TensorRecord

if TYPE_CHECKING:
    import torch


class Payload:
    """The tensors of a checkpoint's files, by one of its two formats. Safe to use from threads."""

    def __init__(self, weights_format: str) -> None:
        self._format = weights_format
        self._lock = Lock()
        self._loaded: tuple[Path, dict[str, torch.Tensor]] | None = None

    def read(self, path: Path, record: TensorRecord) -> torch.Tensor:
        """Return the tensor of `record` from the file at `path`, mapped into memory if possible."""
        if self._format == "safetensors":
            return _read_safetensors(path, record.name)
        return self._load(path, record.file)[record.name]

    def _load(self, path: Path, file: str) -> dict[str, torch.Tensor]:
        from quantcli.checkpoint import torchfile

        with self._lock:
            # The last file is kept: its tensors are read one after the other, and a file in the
            # old format has to be read whole each time.
            if self._loaded is None or self._loaded[0] != path:
                self._loaded = (path, torchfile.load(path, file))
            return self._loaded[1]


def _read_safetensors(path: Path, name: str) -> torch.Tensor:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensor: torch.Tensor = file.get_tensor(name)
    return tensor
