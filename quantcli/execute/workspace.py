"""What reading a parameter in rows needs: memory that is used again, and a common interface."""

from __future__ import annotations

from typing import Protocol

import torch


class Workspace:
    """Reusable buffers of one thread, by name. They grow to the largest block that was requested.

    Blocks stay in cache only if their memory is the same from one block to the next.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, torch.Tensor] = {}

    def take(self, name: str, dtype: torch.dtype, numel: int) -> torch.Tensor:
        """Return a flat tensor of `numel` elements, uninitialized."""
        nbytes = numel * dtype.itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < nbytes:
            buffer = torch.empty(nbytes, dtype=torch.uint8)
            self._buffers[name] = buffer
        return buffer[:nbytes].view(dtype)


class Reader(Protocol):
    """Reads the elements of one parameter."""

    def read(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out`, flat, with the elements from `start` on, cast to its dtype."""
