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
        # the kernel refuses a transposed input, such as that of the attention in a VAE
        given = input.contiguous() if self._uses_kernel(input) else input
        return super().forward(given)  # type: ignore[no-any-return]

    def _kernel_fails(self, input: torch.Tensor) -> bool:  # noqa: A002 - torch's name
        if type(self.weight) is WeightQBitsTensor:
            # transposing this tensor subclass sets a version counter, which inference mode forbids
            return torch.is_inference_mode_enabled()
        kernel = format_of_module(self).kernel
        shape = (self.out_features, self.in_features)
        return self._uses_kernel(input) and kernel is not None and not kernel.works(shape)

    def _uses_kernel(self, input: torch.Tensor) -> bool:  # noqa: A002 - torch's name
        """Return whether Quanto takes a kernel of the CPU for 8-bit weights."""
        weight_format = format_of_module(self)
        kernel = weight_format.kernel
        if weight_format.is_grouped or kernel is None or input.device.type != "cpu":
            return False
        return input.dtype is getattr(torch, kernel.dtype)


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
