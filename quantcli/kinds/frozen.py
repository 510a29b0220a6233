"""Quanto's modules, frozen: they run in inference mode too, and move and cast as a whole."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from optimum.quanto import QConv2d, QLinear, QModuleMixin, WeightQBitsTensor, qint8, qtypes
from optimum.quanto.tensor.qtensor import QTensor

from quantcli.kinds.weights import assemble


class FrozenMixin:
    """Moves and casts a frozen weight by its parts, which Quanto's own tensors refuse."""

    def _apply(
        self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True
    ) -> torch.nn.Module:
        module: Any = self
        weight = module._parameters["weight"]
        if not isinstance(weight, QTensor):
            return super()._apply(fn, recurse)  # type: ignore[misc, no-any-return]
        module._parameters["weight"] = None
        try:
            super()._apply(fn, recurse)  # type: ignore[misc]
        finally:
            module._parameters["weight"] = weight
        module._parameters["weight"] = _apply_to_parts(module, weight, fn)
        return module  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy into memory of its own, a weight that lies in a file too."""
        module: Any = self
        weight = module._parameters["weight"]
        if isinstance(weight, QTensor) and id(weight) not in memo:
            memo[id(weight)] = _apply_to_parts(module, weight, torch.clone)
        copied = module.__class__.__new__(module.__class__)
        memo[id(module)] = copied
        copied.__setstate__(copy.deepcopy(vars(module), memo))
        return copied


class FrozenLinear(FrozenMixin, QLinear):  # type: ignore[misc]
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
        if self.weight_qtype is not qint8 or input.dtype is not torch.bfloat16:
            return False
        # torch's kernel for these loads 16 bytes of a row at once, aligned, or ends the process
        return input.device.type == "cpu" and self.in_features % 16 != 0


class FrozenConv2d(FrozenMixin, QConv2d):  # type: ignore[misc]
    """A 2-D convolution with a frozen weight."""


_KINDS: dict[type[torch.nn.Module], type[QModuleMixin]] = {
    torch.nn.Linear: FrozenLinear,
    torch.nn.Conv2d: FrozenConv2d,
}


def has_frozen_modules(model: torch.nn.Module) -> bool:
    """Tell whether any module of a model is frozen."""
    return any(isinstance(module, FrozenMixin) for module in model.modules())


def create(module: torch.nn.Module, qtype: str, group_size: int | None) -> QModuleMixin:
    """Make the frozen counterpart of a module, without its weight, on the meta device.

    A subclass becomes the plain class, as with Quanto: whoever froze it knew that this is right.
    Raises `TypeError` for a module that has no counterpart, `KeyError` for an unknown qtype.
    """
    for kind, frozen_kind in _KINDS.items():
        if isinstance(module, kind):
            frozen = frozen_kind.qcreate(module, weights=qtypes[qtype], device="meta")
            frozen.weight_group_size = group_size
            return frozen.eval()
    raise TypeError(f"{type(module).__name__} has no frozen counterpart")


def _apply_to_parts(
    module: QModuleMixin, weight: QTensor, fn: Callable[[torch.Tensor], torch.Tensor]
) -> torch.nn.Parameter:
    names, _ = weight.__tensor_flatten__()
    probe = getattr(weight, names[1])
    if fn(probe) is probe:
        return weight  # type: ignore[no-any-return]
    parts: dict[str, torch.Tensor] = {}
    weight.save_to_state_dict(parts, "", keep_vars=True)
    applied = {
        name: _apply_to_data(part, fn) if name.endswith("_data") else fn(part)
        for name, part in parts.items()
    }
    return assemble(module, applied)


def _apply_to_data(data: torch.Tensor, fn: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    # as bytes, or a cast would take float8 for a float to cast
    return fn(data.view(torch.uint8)).view(data.dtype)
