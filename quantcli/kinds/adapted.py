"""Modules that keep their own class and code, and see their quantized parameters dequantized.

What a module computes then is what its own code computes: whatever it does with its weight, it does
with the dequantized one. That is slower than a kernel of Quanto's where the code takes the whole
weight, and as fast where it looks up rows, or takes one matrix of many (see `WeightView`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import nn

from quantcli.formats import WeightFormat
from quantcli.kinds.frozen import FrozenModule
from quantcli.kinds.kind import Kind
from quantcli.kinds.layout import FrozenWeight, Rows
from quantcli.kinds.view import WeightView
from quantcli.upstream.names import relies_on
from quantcli.upstream.quanto import is_quantized
from quantcli.upstream.torch import own_parameters


@relies_on("torch.nn.Module._save_to_state_dict", to="save frozen models")
class FrozenParameters(FrozenModule):
    """Mixin for a module whose class is its own, with properties in place of its parameters.

    `original_class` is that class. `quantized_as` says how each parameter is stored and `seen_as`
    its rows in the original shape. What is `shared` is stored under another module's name.
    """

    plain_layout = True
    original_class: type[nn.Module]
    quantized_as: Mapping[str, FrozenWeight]
    seen_as: Mapping[str, tuple[tuple[int, ...], bool]]
    shared: bool

    def frozen_weights(self) -> Mapping[str, FrozenWeight]:
        """Return how each quantized parameter is stored, by name."""
        return self.quantized_as

    def stored_weights(self) -> Mapping[str, FrozenWeight]:
        """Return how each parameter is stored under the module's own name: none if shared."""
        return {} if self.shared else self.quantized_as

    def view(self, name: str) -> Any:
        """Return a quantized parameter as the module's code sees it."""
        parameter: Any = own_parameters(self)[name]  # type: ignore[arg-type]
        shape, transposed = self.seen_as[name]
        if not is_quantized(parameter):
            return parameter
        return WeightView(parameter, shape, transposed, self.runtime)

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        own: dict[str, Any] = own_parameters(self)  # type: ignore[arg-type]
        held = {name: own[name] for name in self.quantized_as if is_quantized(own[name])}
        own.update(dict.fromkeys(held))
        try:
            super()._save_to_state_dict(destination, prefix, keep_vars)  # type: ignore[misc]
        finally:
            own.update(held)
        for name, weight in held.items() if not self.shared else ():
            weight.save_to_state_dict(destination, f"{prefix}{name}.", keep_vars)


class AdaptedKind(Kind):
    """Modules that keep their class; `frozen_class` is mixed into it."""

    frozen_as = "parameter"
    frozen_class: type[FrozenParameters] = FrozenParameters

    def freeze(
        self,
        module: nn.Module,
        weights: Mapping[str, tuple[WeightFormat, int | None]],
        activations: str | None = None,
    ) -> nn.Module:
        """Turn a module into its frozen counterpart, in place; its weights go to the meta device.

        Raises `KeyError` for a name that is no weight of the module.
        """
        assert activations is None, "its own code would not see them quantized"
        return adapt(module, self.frozen_class, self.weights(module), weights)


def adapt(
    module: nn.Module,
    mixin: type[FrozenParameters],
    rows: Mapping[str, Rows],
    weights: Mapping[str, tuple[WeightFormat, int | None]],
    *,
    shared: bool = False,
) -> nn.Module:
    """Give a module a class in which its weights are properties, with room for quantized ones."""
    own: dict[str, Any] = own_parameters(module)
    adapted: Any = module
    seen = {name: (tuple(own[name].shape), rows[name].transposed) for name in weights}
    make: Any = adapted_class  # to mypy, no module's class can be hashed
    adapted.__class__ = make(type(module), mixin, tuple(weights))
    vars(adapted).update(seen_as=seen, quantized_as={}, shared=shared)
    for name, (weight_format, group_size) in weights.items():
        shape = rows[name].shape
        adapted.quantized_as[name] = FrozenWeight(
            weight_format=weight_format, shape=shape, group_size=group_size
        )
        empty = torch.empty(shape, dtype=own[name].dtype, device="meta")
        own[name] = nn.Parameter(empty, requires_grad=False)
    return adapted.eval()  # type: ignore[no-any-return]


@cache
def adapted_class(own: Any, mixin: Any, names: tuple[str, ...]) -> Any:
    """Return a subclass of a module's class, with properties that show its quantized parameters."""
    properties: dict[str, Any] = {name: _view_property(name) for name in names}
    text = f"A {own.__name__} with quantized parameters."
    attributes = {"original_class": own, "__module__": own.__module__, "__doc__": text}
    return type(f"Frozen{own.__name__}", (mixin, own), properties | attributes)


def _view_property(name: str) -> property:
    return property(lambda module: module.view(name))
