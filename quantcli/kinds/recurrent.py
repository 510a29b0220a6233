"""`nn.LSTM`, `nn.GRU` and `nn.RNN`."""

from __future__ import annotations

from typing import Any

from torch import nn

from quantcli.kinds.adapted import AdaptedKind, FrozenParameters
from quantcli.kinds.layout import Rows
from quantcli.kinds.registry import register
from quantcli.kinds.view import WeightView
from quantcli.upstream.names import relies_on
from quantcli.upstream.torch import recurrent_weights


@relies_on("torch.nn.RNNBase._flat_weights", to="run frozen recurrent layers")
class FrozenRecurrent(FrozenParameters):
    """A recurrent layer, which hands torch a list of its weights."""

    @property
    def _flat_weights(self) -> list[Any]:
        module: Any = self
        found: list[Any] = [getattr(module, name, None) for name in recurrent_weights(module)]
        return [each.dense() if isinstance(each, WeightView) else each for each in found]

    @_flat_weights.setter
    def _flat_weights(self, weights: list[Any]) -> None:
        """Ignore a list: it is made from the parameters when it is asked for."""


@register
class Recurrent(AdaptedKind):
    """Recurrent layers: a row is an output of a gate."""

    module_class = nn.RNNBase
    frozen_class = FrozenRecurrent

    def weights(self, module: nn.Module) -> dict[str, Rows]:
        """Return the weights of every layer and direction."""
        own = module.named_parameters(recurse=False)
        return {name: Rows(shape=tuple(w.shape)) for name, w in own if name.startswith("weight_")}

    def skip_reason(self, module: nn.Module) -> str | None:
        """Return why a subclass is kept."""
        known = type(module) in (nn.LSTM, nn.GRU, nn.RNN)
        return None if known else f"{type(module).__name__} is a recurrent layer of its own"
