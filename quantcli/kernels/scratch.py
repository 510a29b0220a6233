"""Memory that values are unpacked into, kept from product to product."""

from __future__ import annotations

import threading

import torch


class _Buffers(threading.local):
    """One for each dtype and thread: fresh memory would cost more than the values put there."""

    def __init__(self) -> None:
        self.kept: dict[torch.dtype, torch.Tensor] = {}


_BUFFERS = _Buffers()


def scratch(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return memory of this shape, which the next call in the same thread gives away again."""
    size = 1
    for length in shape:
        size *= length
    kept = _BUFFERS.kept.get(dtype)
    if kept is None or kept.numel() < size:
        with torch.inference_mode(False):  # so that it can be written to in any mode
            kept = _BUFFERS.kept[dtype] = torch.empty(size, dtype=dtype)
    return kept[:size].view(shape)
