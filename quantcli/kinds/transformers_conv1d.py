"""The `Conv1D` of transformers, a linear layer whose weight is stored as (inputs, outputs)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from quantcli.kinds.kind import ModuleKind
from quantcli.kinds.layout import Rows
from quantcli.kinds.linear import COLUMNS, ROWS, FrozenLinear
from quantcli.kinds.registry import register
from quantcli.upstream.transformers import conv1d_class


@register
class TransformersConv1D(ModuleKind):
    """GPT-2's linear layers. Frozen they are ordinary ones, with a weight (outputs, inputs)."""

    module_class = conv1d_class()
    frozen_class = FrozenLinear

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

    def examples(self, trial: nn.Module) -> Iterator[torch.Tensor]:
        """Yield a batch of vectors, and one of sequences of vectors."""
        del trial
        yield torch.randn(3, COLUMNS, dtype=torch.float64)
        yield torch.randn(2, 5, COLUMNS, dtype=torch.float64)
