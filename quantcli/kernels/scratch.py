"""Memory that values are unpacked into, kept from product to product."""

from __future__ import annotations

import math
import threading

import torch


class _Buffers(threading.local):
    """One for each dtype and thread: fresh memory would cost more than the values put there."""

    def __init__(self) -> None:
        self.kept: dict[torch.dtype, torch.Tensor] = {}
        self.views: dict[tuple[tuple[int, ...], torch.dtype], torch.Tensor] = {}


_BUFFERS = _Buffers()

_VIEWS = 256
"""How many are remembered: small products take no longer than to make one."""


def scratch(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return memory of this shape, which the next call in the same thread gives away again."""
    found = _BUFFERS.views.get((shape, dtype))
    return _view(shape, dtype) if found is None else found


def _view(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    buffers = _BUFFERS
    size = math.prod(shape)
    with torch.inference_mode(False):  # so that it can be written to in any mode
        kept = buffers.kept.get(dtype)
        if kept is None or kept.numel() < size:
            buffers.views = {key: view for key, view in buffers.views.items() if key[1] != dtype}
            kept = buffers.kept[dtype] = torch.empty(size, dtype=dtype)
        if len(buffers.views) >= _VIEWS:
            buffers.views.clear()
        found = buffers.views[shape, dtype] = kept[:size].view(shape)
    return found
