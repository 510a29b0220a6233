"""How far quantization moves what a weight computes, expected over the inputs it really gets.

For a weight W with the second moment G = sum of x x' of its inputs, and its quantized values
W + dW, the squared change of its outputs is trace(dW G dW'), summed over all inputs.
"""

from __future__ import annotations

import torch

from quantcli.calibration import Calibration
from quantcli.planning import TensorPlan

_ROWS = 4096
"""Rows that are multiplied at a time."""


def damage(change: torch.Tensor, tensor: TensorPlan, calibration: Calibration) -> float:
    """Return the squared change of the outputs of a weight, summed over the calibration's samples.

    `change` (rows, columns) is dW. A table that is looked up counts each row as often as that
    happened, and one that is a head too counts for both. A weight that no sample reached counts as
    if it had one input of each channel.
    """
    counts = calibration.counts(tensor.name)
    moment = calibration.moments.get(tensor.name)
    total = 0.0
    if counts is not None:
        total += float((_squares(change) * counts.to(torch.float64)).sum())
    if moment is not None:
        for matrix, rows in enumerate(change.chunk(moment.matrices)):
            if moment.rows[matrix]:
                total += _trace(rows, calibration.moment(moment.name, matrix))
    return total or float(_squares(change).sum())


def _squares(change: torch.Tensor) -> torch.Tensor:
    return change.square().sum(dim=1, dtype=torch.float64)


def _trace(change: torch.Tensor, moment: torch.Tensor) -> float:
    """Return trace(dW G dW')."""
    parts = (((rows @ moment) * rows).sum(dtype=torch.float64) for rows in change.split(_ROWS))
    return sum(map(float, parts))
