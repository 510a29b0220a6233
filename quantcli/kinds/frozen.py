"""What every frozen module has: its weight moves, casts and is copied together with it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from quantcli.kinds.layout import DATA
from quantcli.kinds.weights import assemble
from quantcli.upstream.names import relies_on
from quantcli.upstream.quanto import inner_tensors, is_quantized, weight_parts


@relies_on("torch.nn.Module._apply", to="move frozen models")
class FrozenModule:
    """Mixin for a Quanto module with a frozen weight, placed before Quanto's class.

    Quanto's tensors refuse to be moved or cast, so that is done to their parts.
    """

    def _apply(
        self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True
    ) -> torch.nn.Module:
        module: Any = self
        weight = module.weight
        if not is_quantized(weight):
            return super()._apply(fn, recurse)  # type: ignore[misc, no-any-return]
        module.weight = None
        try:
            super()._apply(fn, recurse)  # type: ignore[misc]
        finally:
            module.weight = weight
        module.weight = _apply_to_parts(module, weight, fn)
        return module  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy into new memory, also a weight that is mapped from a file."""
        module: Any = self
        weight = module.weight
        if is_quantized(weight) and id(weight) not in memo:
            memo[id(weight)] = _apply_to_parts(module, weight, torch.clone)
        copied = module.__class__.__new__(module.__class__)
        memo[id(module)] = copied
        copied.__setstate__(copy.deepcopy(vars(module), memo))
        return copied


def has_frozen_modules(model: torch.nn.Module) -> bool:
    """Return whether any module of a model is frozen."""
    return any(isinstance(module, FrozenModule) for module in model.modules())


def _apply_to_parts(
    module: Any, weight: Any, fn: Callable[[torch.Tensor], torch.Tensor]
) -> torch.nn.Parameter:
    scale = inner_tensors(weight)[1]
    if fn(scale) is scale:
        return weight  # type: ignore[no-any-return]
    applied = {
        name: _apply_to_data(part, fn) if name.endswith(DATA) else fn(part)
        for name, part in weight_parts(weight).items()
    }
    return assemble(module, applied)


def _apply_to_data(data: torch.Tensor, fn: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    # as bytes, or a cast would also cast float8
    return fn(data.view(torch.uint8)).view(data.dtype)
