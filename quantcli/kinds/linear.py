"""`nn.Linear`, and the Conv1D of GPT-2, which is one with its weight transposed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from optimum.quanto import QLinear
from torch import nn

from quantcli.kinds.activations import QuantizesActivations
from quantcli.kinds.frozen import FrozenModule
from quantcli.kinds.kind import ModuleKind
from quantcli.kinds.product import linear
from quantcli.kinds.registry import register

ROWS, COLUMNS = 8, 24
"""The size at which a subclass is tried: what it computes does not depend on its size."""


class FrozenLinear(QuantizesActivations, FrozenModule, QLinear):  # type: ignore[misc]
    """A linear layer with a frozen weight."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        """Compute as the runtime says; as Quanto does, if it has no better way."""
        return linear(input, self.ready("weight"), self.bias, runtime=self.runtime)


@register
class Linear(ModuleKind):
    """Linear layers, row by row."""

    module_class: type[nn.Module] = nn.Linear
    frozen_class = FrozenLinear
    quantos_own = True
    takes_a_table = True

    def trial_shape(self, module: nn.Module) -> tuple[int, ...]:
        """Return a shape of a few rows."""
        del module
        return (ROWS, COLUMNS)

    def resize(self, trial: nn.Module, shape: tuple[int, ...]) -> None:
        """Set the numbers of features."""
        vars(trial).update(out_features=shape[0], in_features=shape[1])

    def examples(self, trial: nn.Module) -> Iterator[torch.Tensor]:
        """Yield a batch of vectors, and one of sequences of vectors."""
        del trial
        yield torch.randn(3, COLUMNS, dtype=torch.float64)
        yield torch.randn(2, 5, COLUMNS, dtype=torch.float64)
