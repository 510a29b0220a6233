"""How far quantization moves what a weight computes, expected over the inputs it really gets.

For a weight W with the second moment G = sum of x x' of its inputs, and its quantized values
W + dW, the expected square of the change of its outputs is trace(dW G dW') / inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch

from quantcli.planning import TensorPlan

_ROWS = 4096
"""Rows that are multiplied at a time."""


class Moments(Protocol):
    """The second moments of what each weight is multiplied with, and how often rows are taken."""

    def of(self, tensor: TensorPlan) -> tuple[torch.Tensor, ...]:
        """Return a moment (columns, columns) for each matrix of a weight; none without inputs.

        They are divided by the number of all inputs.
        """

    def counts(self, tensor: TensorPlan) -> torch.Tensor | None:
        """Return how often each row of a table was looked up, as a share; None if never."""


def damage(change: torch.Tensor, tensor: TensorPlan, moments: Moments) -> float:
    """Return the expected square of the change of a weight's outputs, for one input of the model.

    `change` (rows, columns) is dW. A weight that no sample reached counts as if every channel of
    its inputs were 1 on average.
    """
    matrices, counts = moments.of(tensor), moments.counts(tensor)
    total = 0.0
    if counts is not None:
        total += float((_squares(change) * counts.to(torch.float64)).sum())
    if matrices:
        total += sum(_trace(part, moment) for part, moment in _pairs(change, matrices))
    if counts is None and not matrices:
        total += float(_squares(change).sum())
    return total


def _pairs(
    change: torch.Tensor, matrices: tuple[torch.Tensor, ...]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    yield from zip(change.chunk(len(matrices)), matrices, strict=True)


def _squares(change: torch.Tensor) -> torch.Tensor:
    return change.float().square().sum(dim=1, dtype=torch.float64)


def _trace(change: torch.Tensor, moment: torch.Tensor) -> float:
    """Return trace(dW G dW')."""
    parts = (rows.float() for rows in change.split(_ROWS))
    return sum(float(((rows @ moment) * rows).sum(dtype=torch.float64)) for rows in parts)
