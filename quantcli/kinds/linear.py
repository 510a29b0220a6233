"""`nn.Linear`."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from optimum.quanto import QLinear, WeightQBitsTensor
from torch import nn

from quantcli.kinds.frozen import FrozenModule
from quantcli.kinds.kind import Kind
from quantcli.kinds.registry import register
from quantcli.kinds.weights import format_of_module

ROWS, COLUMNS = 8, 24
"""The size at which a subclass is tried: what it computes does not depend on its size."""


class FrozenLinear(FrozenModule, QLinear):  # type: ignore[misc]
    """A linear layer with a frozen weight."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        """Compute as Quanto does, but with a dequantized weight where its own way fails."""
        if self._kernel_fails(input):
            output: torch.Tensor = torch.matmul(input, self.weight.dequantize().t())
            return output if self.bias is None else output + self.bias
        return super().forward(input)  # type: ignore[no-any-return]

    def _kernel_fails(self, input: torch.Tensor) -> bool:  # noqa: A002 - torch's name
        if type(self.weight) is WeightQBitsTensor:
            # transposing this tensor subclass sets a version counter, which inference mode forbids
            return torch.is_inference_mode_enabled()
        weight_format = format_of_module(self)
        kernel = weight_format.kernel
        if weight_format.is_grouped or kernel is None or input.device.type != "cpu":
            return False
        shape = (self.out_features, self.in_features)
        return input.dtype is getattr(torch, kernel.dtype) and not kernel.works(shape)


@register
class Linear(Kind):
    """Linear layers, row by row."""

    module_class = nn.Linear
    frozen_class = FrozenLinear

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
