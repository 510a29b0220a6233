"""Write one output shard: a safetensors file whose header is known before its payload."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from quantcli.dtypes import CODES
from quantcli.kinds.layout import Stored

ALIGNMENT = 64
"""Bytes that torch aligns its tensors to."""

FLUSH_SECONDS = 0.03
"""Pause between flushes: the disk writes meanwhile, and little is left for the end."""


class ShardFile:
    """A safetensors file that is filled in any order and appears whole or not at all.

    It is written under a temporary name in its folder; `finish` flushes it to disk and renames it.
    """

    def __init__(
        self, path: Path, tensors: Iterable[Stored], metadata: Mapping[str, str] | None = None
    ) -> None:
        self.path = path
        self._temporary = path.with_name(f".{path.name}.writing")
        header, self._offsets, size = layout(tensors, metadata)
        self._descriptor = os.open(
            self._temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666
        )
        try:
            _reserve(self._descriptor, size)
            write_all(self._descriptor, memoryview(header), 0)
        except OSError:
            os.close(self._descriptor)
            raise
        self._complete = threading.Event()
        self._flusher = threading.Thread(target=self._flush_on, name="quantcli-flush", daemon=True)
        self._flusher.start()

    def write(self, name: str, start: int, values: torch.Tensor) -> None:
        """Write elements of a stored tensor, from flat index `start` on."""
        raw = values.reshape(-1).view(torch.uint8).numpy()
        offset = self._offsets[name] + start * values.dtype.itemsize
        write_all(self._descriptor, raw.data, offset)

    def finish(self) -> None:
        """Flush to disk and give the file its name."""
        self._stop_flushing()
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._temporary.replace(self.path)

    def abandon(self) -> None:
        """Close and remove what was written."""
        self._stop_flushing()
        os.close(self._descriptor)
        self._temporary.unlink(missing_ok=True)

    def _flush_on(self) -> None:
        # errors of the disk occur again, and are reported, when the file is finished
        with contextlib.suppress(OSError):
            while not self._complete.wait(FLUSH_SECONDS):
                os.fdatasync(self._descriptor)

    def _stop_flushing(self) -> None:
        self._complete.set()
        self._flusher.join()


def layout(
    tensors: Iterable[Stored], metadata: Mapping[str, str] | None = None
) -> tuple[bytes, dict[str, int], int]:
    """Return the header bytes of a shard, the file offset of each tensor, and the file size.

    `metadata` is written into the header, beside the format that transformers asks for.
    The header is padded to 64 bytes, and the sizes that divide best come first, so that every
    tensor is as aligned as its size: mapped into memory most lie as in torch's own allocations.
    Some kernels are slower otherwise, or differ in the last bit, or crash.
    """
    ordered = sorted(tensors, key=lambda tensor: (-math.gcd(tensor.nbytes, ALIGNMENT), tensor.name))
    entries: dict[str, object] = {"__metadata__": {"format": "pt", **(metadata or {})}}
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
    text += b" " * (-(len(text) + 8) % ALIGNMENT)
    header = len(text).to_bytes(8, "little") + text
    offsets = {name: len(header) + start for name, start in starts.items()}
    return header, offsets, len(header) + position


def _reserve(descriptor: int, size: int) -> None:
    """Reserve the disk space of a file: a full disk fails now, and writing is faster."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
        else:
            return
    os.truncate(descriptor, size)


def write_all(descriptor: int, view: memoryview, offset: int) -> None:
    """Write all bytes of a view into a file, from `offset` on. Raises `OSError`."""
    written = 0
    while written < len(view):
        written += os.pwrite(descriptor, view[written:], offset + written)
