"""What every frozen module has: its quantized parameters move, cast and copy together with it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from quantcli.formats import format_of
from quantcli.kernels import QUANTO
from quantcli.kernels.products import packs, ready
from quantcli.kinds.layout import DATA, FrozenWeight
from quantcli.kinds.view import WeightView
from quantcli.kinds.weights import assemble
from quantcli.upstream.names import relies_on
from quantcli.upstream.quanto import inner_tensors, is_quantized, weight_parts
from quantcli.upstream.torch import own_parameters

Apply = Callable[[torch.Tensor], torch.Tensor]


@relies_on("torch.nn.Module._apply", to="move frozen models")
class FrozenModule:
    """Mixin for a module with quantized parameters, placed before all its other classes.

    Quanto's tensors refuse to be moved or cast, so that is done to their parts.
    """

    runtime = QUANTO
    """How its products are computed."""

    plain_layout = False
    """Whether its weights stay in Quanto's plain layout, the one in which rows can be found."""

    def frozen_weights(self) -> Mapping[str, FrozenWeight]:
        """Return how each quantized parameter is stored, by name: `weight` in a Quanto module."""
        module: Any = self
        weight = FrozenWeight(
            weight_format=format_of(module.weight_qtype.name),
            shape=tuple(module.weight.shape),
            group_size=module.weight_group_size,
        )
        return {"weight": weight}

    def stored_weights(self) -> Mapping[str, FrozenWeight]:
        """Return those that are stored under the module's own name."""
        return self.frozen_weights()

    def assemble(self, name: str, parts: Mapping[str, torch.Tensor]) -> torch.nn.Parameter:
        """Make one of its quantized parameters from the stored parts."""
        weight = self.frozen_weights()[name]
        packed_later = packs(weight.shape, weight.group_size, parts["_scale"], self.runtime)
        return assemble(weight, parts, plain=self.plain_layout or packed_later)

    def ready(self, name: str) -> Any:
        """Return a quantized parameter as its products want it, and keep it so."""
        own = own_parameters(self)  # type: ignore[arg-type]
        weight = own[name]
        found = weight if self.plain_layout else ready(weight, self.runtime)
        if found is not weight:
            own[name] = found
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a view of a quantized parameter stands for the parameter."""
        found = value.quantized if isinstance(value, WeightView) else value
        super().__setattr__(name, found)

    def _apply(self, fn: Apply, recurse: bool = True) -> torch.nn.Module:
        module: Any = self
        own = own_parameters(module)
        held = {name: own[name] for name in self.frozen_weights() if is_quantized(own.get(name))}
        own.update(dict.fromkeys(held))
        try:
            super()._apply(fn, recurse)  # type: ignore[misc]
        finally:
            own.update(held)
        own.update({name: self._applied(name, weight, fn) for name, weight in held.items()})
        return module  # type: ignore[no-any-return]

    def _applied(self, name: str, weight: Any, fn: Apply) -> torch.nn.Parameter:
        """Return a parameter with a function applied to its parts; a shared one stays shared."""
        done, result = getattr(weight, "quantcli_applied", (None, None))
        if done is not fn or result is None:
            result = self._applied_once(name, weight, fn)
            weight.quantcli_applied = (fn, result if result is not weight else None)
        return result

    def _applied_once(self, name: str, weight: Any, fn: Apply) -> torch.nn.Parameter:
        return _apply_to_parts(weight, fn, partial(self.assemble, name))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy into new memory, also a weight that is mapped from a file."""
        module: Any = self
        for name, weight in own_parameters(module).items():
            if is_quantized(weight) and id(weight) not in memo:
                memo[id(weight)] = self._applied_once(name, weight, torch.clone)
        copied = module.__class__.__new__(module.__class__)
        memo[id(module)] = copied
        copied.__setstate__(copy.deepcopy(vars(module), memo))
        return copied


def has_frozen_modules(model: torch.nn.Module) -> bool:
    """Return whether any module of a model is frozen."""
    return any(isinstance(module, FrozenModule) for module in model.modules())


def _apply_to_parts(
    weight: Any, fn: Apply, make: Callable[[dict[str, torch.Tensor]], torch.nn.Parameter]
) -> torch.nn.Parameter:
    scale = inner_tensors(weight)[1]
    if fn(scale) is scale:
        return weight  # type: ignore[no-any-return]
    parts = weight_parts(weight).items()
    return make(
        {
            name: _apply_to_data(part, fn) if name.endswith(DATA) else fn(part)
            for name, part in parts
        }
    )


def _apply_to_data(data: torch.Tensor, fn: Apply) -> torch.Tensor:
    # as bytes, or a cast would also cast float8
    return fn(data.view(torch.uint8)).view(data.dtype)
