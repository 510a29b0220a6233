"""`nn.Conv2d`."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from optimum.quanto import QConv2d
from torch import nn

from quantcli.kernels.convolution import convolve
from quantcli.kinds.activations import QuantizesActivations
from quantcli.kinds.frozen import FrozenModule
from quantcli.kinds.kind import ModuleKind
from quantcli.kinds.registry import register
from quantcli.upstream.quanto import is_quantized
from quantcli.upstream.torch import own_parameters

ROWS = 8
"""The output channels with which a subclass is tried."""


class FrozenConv2d(QuantizesActivations, FrozenModule, QConv2d):  # type: ignore[misc]
    """A 2-D convolution with a frozen weight."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        """Compute as the runtime says; as Quanto does, if it has no better way."""
        found = None
        if self.runtime.activations and not is_quantized(input):
            found = convolve(input, own_parameters(self)["weight"], self)
        return super().forward(input) if found is None else found


@register
class Conv2d(ModuleKind):
    """2-D convolutions: a row is the filter of an output channel."""

    module_class = nn.Conv2d
    frozen_class = FrozenConv2d
    methods = ("forward", "_conv_forward")
    quantos_own = True

    def trial_shape(self, module: nn.Module) -> tuple[int, ...]:
        """Return the module's own shape, with few output channels where it has one group."""
        assert isinstance(module, nn.Conv2d)
        shape = tuple(module.weight.shape)
        return (ROWS, *shape[1:]) if shape[0] > ROWS and module.groups == 1 else shape

    def resize(self, trial: nn.Module, shape: tuple[int, ...]) -> None:
        """Leave the module as it is: its forward does not read the number of output channels."""

    def examples(self, trial: nn.Module) -> Iterator[torch.Tensor]:
        """Yield images of an even and an odd size: padding to "same" depends on it."""
        assert isinstance(trial, nn.Conv2d)
        reach = [d * (k - 1) + 1 for d, k in zip(trial.dilation, trial.kernel_size, strict=True)]
        for more in (4, 7):
            size = [side + more for side in reach]
            yield torch.randn(2, trial.in_channels, *size, dtype=torch.float64)
