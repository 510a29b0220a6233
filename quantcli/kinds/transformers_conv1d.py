"""The `Conv1D` of transformers, a linear layer whose weight is stored as (inputs, outputs)."""

from __future__ import annotations

from typing import Any

from torch import nn

from quantcli.kinds.layout import Rows
from quantcli.kinds.linear import COLUMNS, ROWS, Linear
from quantcli.kinds.registry import register
from quantcli.upstream.transformers import conv1d_class


@register
class TransformersConv1D(Linear):
    """GPT-2's linear layers. Frozen they are ordinary ones, with a weight (outputs, inputs)."""

    module_class = conv1d_class()
    quantos_own = False
    takes_a_table = False

    def weights(self, module: nn.Module) -> dict[str, Rows]:
        """Return the weight: a row is a column of what is stored."""
        weight: Any = module.weight
        return {"weight": Rows(shape=(weight.shape[1], weight.shape[0]), transposed=True)}

    def plain(self, module: nn.Module) -> nn.Module:
        """Return the linear layer that computes the same."""
        weight: Any = module.weight
        inputs, outputs = weight.shape
        return nn.Linear(inputs, outputs, device="meta", dtype=weight.dtype)

    def trial_shape(self, module: nn.Module) -> tuple[int, ...]:
        """Return a shape of a few outputs."""
        del module
        return (COLUMNS, ROWS)

    def resize(self, trial: nn.Module, shape: tuple[int, ...]) -> None:
        """Set the numbers of features."""
        vars(trial).update(nx=shape[0], nf=shape[1])
