"""A remote file as a seekable stream that downloads, and keeps, only the parts that are read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from quantcli.checkpoint.records import ModelFiles

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]

BLOCK = 32 * 1024
"""Minimum bytes of a request: fewer would not make it faster."""


class Window(io.RawIOBase):
    """A file of a model, read in whole blocks; adjacent blocks share a request."""

    def __init__(self, files: ModelFiles, file: str) -> None:
        self._files = files
        self._file = file
        self._size = files.sizes[file]
        self._at = 0
        self._blocks: dict[int, bytes] = {}

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, in bytes, and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative position {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        """Fill `buffer` as far as the file goes; return the number of bytes read."""
        view = memoryview(buffer).cast("B")
        content = self._fetch(self._at, min(self._at + len(view), self._size))
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def _fetch(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        first, last = start // BLOCK, (end - 1) // BLOCK
        missing = [block for block in range(first, last + 1) if block not in self._blocks]
        if missing:
            self._fill(missing[0], missing[-1])
        joined = b"".join(self._blocks[block] for block in range(first, last + 1))
        return joined[start - first * BLOCK : end - first * BLOCK]

    def _fill(self, first: int, last: int) -> None:
        start, end = first * BLOCK, min((last + 1) * BLOCK, self._size)
        content = self._files.read_range(self._file, start, end - start)
        for block in range(first, last + 1):
            at = (block - first) * BLOCK
            self._blocks[block] = content[at : at + BLOCK]
