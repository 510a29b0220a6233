"""Writing one output shard: a safetensors file whose header is known before its payload."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import torch

from quantcli.dtypes import CODES, SIZES
from quantcli.planning import Stored


class ShardFile:
    """A safetensors file that is filled in any order and appears whole or not at all.

    It is written under a temporary name in its folder; `finish` flushes it to disk and renames it.
    """

    def __init__(self, path: Path, tensors: Iterable[Stored]) -> None:
        self.path = path
        self._temporary = path.with_name(f".{path.name}.writing")
        header, self._offsets, size = layout(tensors)
        self._descriptor = os.open(
            self._temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666
        )
        os.truncate(self._descriptor, size)
        _write_all(self._descriptor, memoryview(header), 0)

    def write(self, name: str, start: int, values: torch.Tensor) -> None:
        """Write elements of a stored tensor, from flat index `start` on."""
        raw = values.reshape(-1).view(torch.uint8).numpy()
        offset = self._offsets[name] + start * values.dtype.itemsize
        _write_all(self._descriptor, memoryview(raw), offset)

    def finish(self) -> None:
        """Flush to disk and give the file its name."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        os.replace(self._temporary, self.path)

    def abandon(self) -> None:
        """Close and remove what was written."""
        os.close(self._descriptor)
        self._temporary.unlink(missing_ok=True)


def layout(tensors: Iterable[Stored]) -> tuple[bytes, dict[str, int], int]:
    """Lay out a shard: header bytes, file offset of each tensor, file size.

    Widest elements first, then by name, as the safetensors library does, so that every tensor is
    aligned; the header is padded to 8 bytes.
    """
    ordered = sorted(tensors, key=lambda tensor: (-SIZES[tensor.dtype], tensor.name))
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    starts = {}
    for tensor in ordered:
        starts[tensor.name] = position
        end = position + tensor.nbytes
        entries[tensor.name] = {
            "dtype": CODES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    header = len(text).to_bytes(8, "little") + text
    offsets = {name: len(header) + start for name, start in starts.items()}
    return header, offsets, len(header) + position


def _write_all(descriptor: int, view: memoryview, offset: int) -> None:
    written = 0
    while written < len(view):
        written += os.pwrite(descriptor, view[written:], offset + written)
