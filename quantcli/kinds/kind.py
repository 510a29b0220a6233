"""What a kind of module is: what it takes, and how its weights are quantized, stored and run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from optimum.quanto import QModuleMixin, qtypes

from quantcli.formats import WeightFormat
from quantcli.kinds.layout import Rows, Stored, activation_scales, stored_parts
from quantcli.kinds.probe import computes_as

if TYPE_CHECKING:
    import torch
    from torch import nn


FrozenAs = Literal["quanto", "module", "parameter"]
"""What a module with quantized weights is once it is loaded. quanto: a module that plain Quanto
makes of it too. module: such a module, where plain Quanto makes none. parameter: itself, with its
own code, which sees its quantized parameters dequantized.
"""


class Kind(ABC):
    """One kind of module that can be quantized.

    A subclass with `@register` in a file of this package adds a kind. `module_class` is the class
    of torch or transformers whose modules are of the kind, its subclasses included.
    """

    module_class: type[nn.Module]
    frozen_as: FrozenAs
    is_embedding = False
    """Whether it is a table of rows to look up, quantized only where a recipe asks for that."""
    multiplies_rows = True
    """Whether a row is multiplied with an input: some of its values can matter more than others."""
    takes_a_table = False
    """Whether its modules can compute with the quantized table of an embedding as their weight."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.module_class.__name__

    def takes(self, module: nn.Module) -> bool:
        """Return whether a module is of this kind. Its class may be a subclass."""
        return isinstance(module, self.module_class)

    def skip_reason(self, module: nn.Module) -> str | None:
        """Return why the weights of a module of this kind must be kept, None where they need not.

        Another kind may take the module then.
        """
        del module
        return None

    @abstractmethod
    def weights(self, module: nn.Module) -> dict[str, Rows]:
        """Return the parameters that can be quantized, by name, and how each is seen as rows."""

    def stored(
        self,
        module: str,
        weight: str,
        rows: Rows,
        dtype: str,
        weight_format: WeightFormat,
        group_size: int | None,
    ) -> tuple[Stored, ...]:
        """List what is stored for one weight, of `dtype`, of the module of this name."""
        parts = stored_parts(f"{module}.{weight}", rows.shape, dtype, weight_format, group_size)
        if self.frozen_as == "parameter":
            return parts
        return (*parts, *activation_scales(module, dtype))

    @abstractmethod
    def freeze(
        self,
        module: nn.Module,
        weights: Mapping[str, tuple[WeightFormat, int | None]],
        activations: str | None = None,
    ) -> nn.Module:
        """Return the frozen counterpart of a module, without its weights, on the meta device.

        `weights` are the format and the group size of each weight, by name. `activations` is the
        qtype of what it reads and gives, which only modules of Quanto's protocol quantize.
        """


class ModuleKind(Kind):
    """Modules that become modules of Quanto, or of ours that follow its protocol.

    `frozen_class` is a `FrozenModule` and a `QModuleMixin`. `tensors` are all that a module of this
    kind may own, and `methods` those that decide what it computes. `quantos_own` says that plain
    Quanto quantizes it too.
    """

    frozen_class: type[QModuleMixin]
    tensors: frozenset[str] = frozenset({"weight", "bias"})
    methods: tuple[str, ...] = ("forward",)
    quantos_own = False

    @property
    def frozen_as(self) -> FrozenAs:  # type: ignore[override]
        """What its modules become."""
        return "quanto" if self.quantos_own else "module"

    def skip_reason(self, module: nn.Module) -> str | None:
        """Return why a subclass cannot become the plain class.

        Quanto replaces a subclass by the plain class. That is right only where the subclass
        computes what the plain class does, from the same tensors.
        """
        own, plain = type(module), self.module_class
        if own is plain:
            return None
        if has_more(module, self.tensors):
            return f"{own.__name__} is a {self.name} with extra tensors"
        changed = any(getattr(own, name) is not getattr(plain, name) for name in self.methods)
        if changed and not computes_as(module, self):
            return f"{own.__name__} is a {self.name} with its own forward"
        return None

    def weights(self, module: nn.Module) -> dict[str, Rows]:
        """Return the weight, where the module has one: a row is an output."""
        return weight_alone(module)

    def freeze(
        self,
        module: nn.Module,
        weights: Mapping[str, tuple[WeightFormat, int | None]],
        activations: str | None = None,
    ) -> nn.Module:
        """Return the frozen counterpart of a module, without its weight, on the meta device."""
        weight_format, group_size = weights["weight"]
        frozen: Any = self.frozen_class.qcreate(
            self.plain(module),
            weights=qtypes[str(weight_format.qtype)],
            activations=qtypes[activations] if activations else None,
            device="meta",
        )
        frozen.weight_group_size = group_size
        return frozen.eval()  # type: ignore[no-any-return]

    def plain(self, module: nn.Module) -> nn.Module:
        """Return what Quanto makes the frozen counterpart of."""
        return module

    @abstractmethod
    def trial_shape(self, module: nn.Module) -> tuple[int, ...]:
        """Return the shape of a small weight to try the module with."""

    @abstractmethod
    def resize(self, trial: nn.Module, shape: tuple[int, ...]) -> None:
        """Set the attributes of a module that must agree with the shape of its weight."""

    @abstractmethod
    def examples(self, trial: nn.Module) -> Iterator[torch.Tensor]:
        """Yield inputs in float64 on which subclass and plain class are compared."""


def weight_alone(module: nn.Module) -> dict[str, Rows]:
    """Return the parameter `weight` of a module in its own shape, if it is a parameter."""
    weight = dict(module.named_parameters(recurse=False)).get("weight")
    return {} if weight is None else {"weight": Rows(shape=tuple(weight.shape))}


def has_more(module: nn.Module, tensors: frozenset[str]) -> bool:
    """Return whether a module owns other tensors than these, or modules."""
    owned = {name for name, _ in module.named_parameters(recurse=False)}
    more = (*module.named_buffers(recurse=False), *module.named_children())
    return bool(owned - tensors or more)
