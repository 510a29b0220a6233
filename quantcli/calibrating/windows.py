"""What a convolution multiplies each filter with: windows of its input, as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    import torch

BATCH_BYTES = 64 * 1024 * 1024
"""Windows overlap, so that as rows they take many times the memory of the input."""


def windows(
    inputs: torch.Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (group, rows): the windows of a batch (batch, channels, *space), some at a time.

    Rows are (windows, channels / groups * prod(kernel)), in the order of a filter's values.
    """
    around = [side for each in reversed(padding) for side in (each, each)]
    padded = nn.functional.pad(inputs, around)
    view = _view(padded, kernel, stride, dilation)
    dimensions = len(kernel)
    for group, part in enumerate(view.chunk(groups, dim=1)):
        # (batch, channels, *places, *kernel) to (batch, *places, channels, *kernel)
        order = [0, *range(2, 2 + dimensions), 1, *range(2 + dimensions, 2 + 2 * dimensions)]
        ordered = part.permute(order).flatten(0, 1)
        columns = part.shape[1] * part[0, 0, *[0] * dimensions].numel()
        per_line = max(1, ordered[0].numel() // columns)
        step = max(1, BATCH_BYTES // (4 * columns * per_line))
        for lines in ordered.split(step):
            yield group, lines.reshape(-1, columns)


def _view(
    padded: torch.Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> torch.Tensor:
    """Return a view (batch, channels, *places, *kernel) of every window."""
    space, strides = padded.shape[2:], padded.stride()[2:]
    places = [
        (side - d * (k - 1) - 1) // s + 1
        for side, k, s, d in zip(space, kernel, stride, dilation, strict=True)
    ]
    steps = [each * s for each, s in zip(strides, stride, strict=True)]
    within = [each * d for each, d in zip(strides, dilation, strict=True)]
    return padded.as_strided(
        (*padded.shape[:2], *places, *kernel), (*padded.stride()[:2], *steps, *within)
    )
