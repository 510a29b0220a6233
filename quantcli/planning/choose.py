"""How one weight is quantized: what the recipe says, and whether it would save bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.dtypes import SIZES
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


class Chooser:
    """Applies a recipe to weights, and knows which of its patterns match none."""

    def __init__(self, recipe: Recipe, modules: Mapping[str, WeightModule]) -> None:
        self.recipe = recipe
        self.group_sizes = GroupSizes()
        self._modules = [name for name, module in modules.items() if module.skip_reason is None]

    def choose(self, module: WeightModule, tensor: TensorPlan) -> Decision:
        """Decide for `tensor`, the weight of a module that can be quantized."""
        choice = self.recipe.choose(module.name)
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

    def unused(self) -> list[str]:
        """Return which patterns of the recipe match no module that can be quantized."""
        return [
            f"{pattern} matches no module that can be quantized"
            for pattern in self.recipe.unmatched(self._modules)
        ]
