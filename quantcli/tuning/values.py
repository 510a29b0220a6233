"""What the values of a weight become, and how far that moves its outputs."""

from __future__ import annotations

from typing import Protocol

import torch

from quantcli.explanation.quantized import quantize_rows
from quantcli.explanation.reading import read_rows
from quantcli.planning import Source, TensorPlan
from quantcli.tuning.damage import Moments, damage


class Restore(Protocol):
    """Quantizes the rows of a weight by its optimizer, and maps them back."""

    def __call__(self, rows: torch.Tensor, tensor: TensorPlan) -> torch.Tensor: ...


def restore_plainly(rows: torch.Tensor, tensor: TensorPlan) -> torch.Tensor:
    """Return what Quanto's own optimizers make of rows."""
    return quantize_rows(rows, tensor).restored


class Weights:
    """The weights of a model as they are, and as an option of the planner makes them."""

    def __init__(self, source: Source, moments: Moments, restore: Restore) -> None:
        self._source = source
        self._moments = moments
        self._restore = restore

    def quantized(self, tensor: TensorPlan) -> tuple[torch.Tensor, float]:
        """Return the quantized values of a weight, shaped as its parameter, and its damage."""
        rows = read_rows(self._source, tensor, range(tensor.quantized_shape[0]))
        restored = self._restore(rows, tensor).view(rows.shape)
        found = damage(restored.float() - rows.float(), tensor, self._moments)
        return as_parameter(restored, tensor), found


def as_parameter(rows: torch.Tensor, tensor: TensorPlan) -> torch.Tensor:
    """Return rows (rows, columns) in the shape of the parameter that they are of."""
    if not tensor.transposed:
        return rows.reshape(tensor.shape)
    *outer, inputs, outputs = tensor.shape
    return rows.reshape(*outer, outputs, inputs).transpose(-1, -2).contiguous()
