"""`nn.LayerNorm`: Quanto keeps its weight, and quantizes its output where activations are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from optimum.quanto import QLayerNorm, qtypes
from torch import nn

from quantcli.kinds.activations import QuantizesActivations
from quantcli.kinds.frozen import FrozenModule
from quantcli.kinds.kind import ModuleKind
from quantcli.kinds.layout import FrozenWeight, Rows


class FrozenLayerNorm(QuantizesActivations, FrozenModule, QLayerNorm):  # type: ignore[misc]
    """A layer norm with a scale for its output. It has no quantized weight."""

    def frozen_weights(self) -> Mapping[str, FrozenWeight]:
        """Return how its weights are quantized: none is."""
        return {}


class LayerNorm(ModuleKind):
    """Layer norms that have a weight. Not registered: no weight of theirs is quantized."""

    module_class = nn.LayerNorm
    frozen_class = FrozenLayerNorm
    quantos_own = True

    def weights(self, module: nn.Module) -> dict[str, Rows]:
        """Return the parameters that can be quantized: none."""
        del module
        return {}

    def quantizes(self, module: nn.Module) -> bool:
        """Return whether Quanto quantizes the activations of a module rightly."""
        if not (self.takes(module) and isinstance(module.weight, nn.Parameter)):
            return False
        return self.skip_reason(module) is None

    def freeze_activations(self, module: nn.Module, qtype: str) -> nn.Module:
        """Return the frozen counterpart of a module, without its weight, on the meta device.

        Raises `TypeError` for a module of another kind.
        """
        if not self.takes(module):
            raise TypeError(f"{type(module).__name__} is no layer norm")
        frozen: nn.Module = FrozenLayerNorm.qcreate(
            module, activations=qtypes[qtype], device="meta"
        )
        return frozen.eval()

    def trial_shape(self, module: nn.Module) -> tuple[int, ...]:
        """Return the module's own shape."""
        assert isinstance(module, nn.LayerNorm)
        return tuple(module.normalized_shape)

    def resize(self, trial: nn.Module, shape: tuple[int, ...]) -> None:
        """Leave the module as it is."""

    def examples(self, trial: nn.Module) -> Iterator[torch.Tensor]:
        """Yield a batch of sequences."""
        assert isinstance(trial, nn.LayerNorm)
        yield torch.randn(2, 5, *trial.normalized_shape, dtype=torch.float64)


LAYER_NORM = LayerNorm()
"""The kind, for those who quantize activations."""
