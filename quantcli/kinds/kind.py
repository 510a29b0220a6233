"""What a kind of module is: what it takes, and how its weight is quantized, stored and run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from optimum.quanto import QModuleMixin, qtypes

from quantcli.formats import WeightFormat
from quantcli.kinds.layout import Stored, stored_parts
from quantcli.kinds.probe import computes_as

if TYPE_CHECKING:
    import torch
    from torch import nn

ACTIVATION_SCALES = ("input_scale", "output_scale")
"""Scalars that Quanto stores with every quantized module: 1 where weights alone are quantized."""


class Kind(ABC):
    """One kind of module that can be quantized.

    A subclass with `@register` in a file of this package adds a kind. `module_class` is the class
    of torch or transformers, and `frozen_class` what it becomes: a `FrozenModule` and Quanto's (or
    our own) `QModuleMixin`. `parameter` is the name of the parameter that is quantized, `tensors`
    are all that a module of this kind may own, and `methods` those that decide what it computes.
    """

    module_class: type[nn.Module]
    frozen_class: type[QModuleMixin]
    parameter: str = "weight"
    tensors: frozenset[str] = frozenset({"weight", "bias"})
    methods: tuple[str, ...] = ("forward",)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.module_class.__name__

    def takes(self, module: nn.Module) -> bool:
        """Return whether a module is of this kind. Its class may be a subclass."""
        return isinstance(module, self.module_class)

    def skip_reason(self, module: nn.Module) -> str | None:
        """Return why the weight of a module of this kind must be kept, None where it need not.

        Quanto replaces a subclass by the plain class. That is right only where the subclass
        computes what the plain class does, from the same tensors.
        """
        own, plain = type(module), self.module_class
        if own is plain:
            return None
        if self._has_more(module):
            return f"{own.__name__} is a {self.name} with extra tensors"
        changed = any(getattr(own, name) is not getattr(plain, name) for name in self.methods)
        if changed and not computes_as(module, self):
            return f"{own.__name__} is a {self.name} with its own forward"
        return None

    def _has_more(self, module: nn.Module) -> bool:
        """Return whether a module owns tensors or modules that the plain class does not."""
        owned = {name for name, _ in module.named_parameters(recurse=False)}
        more = (*module.named_buffers(recurse=False), *module.named_children())
        return bool(owned - self.tensors or more)

    @abstractmethod
    def trial_shape(self, module: nn.Module) -> tuple[int, ...]:
        """Return the shape of a small weight to try the module with."""

    @abstractmethod
    def resize(self, trial: nn.Module, shape: tuple[int, ...]) -> None:
        """Set the attributes of a module that must agree with the shape of its weight."""

    @abstractmethod
    def examples(self, trial: nn.Module) -> Iterator[torch.Tensor]:
        """Yield inputs in float64 on which subclass and plain class are compared."""

    def quantized_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape in which a weight of `shape` is quantized: the rows come first."""
        return shape

    def stored(
        self,
        module: str,
        shape: tuple[int, ...],
        dtype: str,
        weight_format: WeightFormat,
        group_size: int | None,
    ) -> tuple[Stored, ...]:
        """List what is stored for the module of this name, whose weight has `shape` and `dtype`."""
        quantized = self.quantized_shape(shape)
        weight = f"{module}.{self.parameter}"
        parts = stored_parts(weight, quantized, dtype, weight_format, group_size)
        scales = (f"{module}.{name}" for name in ACTIVATION_SCALES)
        return (*parts, *(Stored(name=name, dtype=dtype, shape=()) for name in scales))

    def freeze(self, module: nn.Module, qtype: str, group_size: int | None) -> QModuleMixin:
        """Return the frozen counterpart of a module, without its weight, on the meta device.

        Raises `KeyError` for an unknown qtype.
        """
        quantized: Any = self.frozen_class.qcreate(module, weights=qtypes[qtype], device="meta")
        quantized.weight_group_size = group_size
        frozen: QModuleMixin = quantized.eval()
        return frozen
