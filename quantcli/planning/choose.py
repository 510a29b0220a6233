"""How one weight is quantized: what the recipe says, and whether it would save bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.dtypes import SIZES
from quantcli.errors import UsageError
from quantcli.formats import format_named
from quantcli.kinds.layout import Stored
from quantcli.planning.groups import GroupSizes
from quantcli.planning.plan import TensorPlan

if TYPE_CHECKING:
    from quantcli.recipe import Recipe
    from quantcli.skeleton import WeightModule


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How a weight is quantized and what is then stored, or no qtype and the reason."""

    qtype: str | None = None
    group_size: int | None = None
    optimizer: str | None = None
    quantized_shape: tuple[int, ...] = ()
    stored: tuple[Stored, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """The component of a pipeline that is planned. Patterns match `name`.`module`.

    Whether a pattern or a group size fits the pipeline is known when all components are planned:
    they share the `group_sizes`.
    """

    name: str
    group_sizes: GroupSizes


class Chooser:
    """Applies a recipe to weights, and knows which of its patterns match none."""

    def __init__(
        self,
        recipe: Recipe,
        modules: Mapping[str, WeightModule],
        component: Component | None = None,
    ) -> None:
        self.recipe = recipe
        self.group_sizes = component.group_sizes if component else GroupSizes()
        self._prefix = f"{component.name}." if component else ""
        self._modules = [name for name, module in modules.items() if module.skip_reason is None]

    def choose(self, module: WeightModule, tensor: TensorPlan) -> Decision:
        """Decide for `tensor`, the weight of a module that can be quantized."""
        choice = self.recipe.choose(f"{self._prefix}{module.name}")
        if choice.weights is None:
            return Decision(reason=choice.reason)
        assert module.kind is not None
        weight_format = format_named(choice.weights)
        shape = module.kind.quantized_shape(tensor.shape)
        group_size, reason = self.group_sizes.find(weight_format, shape, choice.group_size)
        stored = module.kind.stored(
            tensor.module, tensor.shape, tensor.dtype, weight_format, group_size
        )
        size = tensor.numel * SIZES[tensor.dtype]
        quantized = sum(tensor.nbytes for tensor in stored)
        if quantized >= size:
            return Decision(
                reason=f"{choice.weights} would not be smaller ({quantized} of {size} bytes)"
            )
        return Decision(
            qtype=weight_format.qtype,
            group_size=group_size,
            optimizer=self.recipe.optimizer if weight_format.is_grouped else "max",
            quantized_shape=shape,
            stored=stored,
            reason=reason,
        )

    @property
    def names(self) -> list[str]:
        """The names of the modules that can be quantized, as patterns see them."""
        return [f"{self._prefix}{name}" for name in self._modules]


def unused(recipe: Recipe, names: Iterable[str]) -> list[str]:
    """Return a notice for each pattern that matches none of the modules that can be quantized."""
    return [
        f"{pattern} matches no module that can be quantized" for pattern in recipe.unmatched(names)
    ]


def check_include(recipe: Recipe, names: Sequence[str], tensors: Iterable[TensorPlan]) -> None:
    """Raise `UsageError` if modules can be quantized, and include patterns leave out all of them.

    `names` are those of the modules, `tensors` what is planned for them.
    """
    if recipe.include and names and not any(tensor.action == "quantize" for tensor in tensors):
        raise UsageError(
            f"--include {', '.join(recipe.include)} matches no module that can be quantized",
            hint=f"modules are named like {names[len(names) // 2]}",
        )
