"""How one weight is quantized: recipe, rules, and what would not be worth it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.dtypes import BITS, QTYPES, SIZES
from quantcli.planning.groups import GroupSizes
from quantcli.planning.layout import quantized_tensors

if TYPE_CHECKING:
    from quantcli.recipe import Recipe
    from quantcli.skeleton import WeightModule


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A qtype with its group size and optimizer, or none and the reason."""

    qtype: str | None = None
    group_size: int | None = None
    optimizer: str | None = None
    reason: str = ""


class Chooser:
    """Applies a recipe to weights, and remembers which of its patterns were of use."""

    def __init__(self, recipe: Recipe, modules: Mapping[str, WeightModule]) -> None:
        self.recipe = recipe
        self.group_sizes = GroupSizes()
        self._modules = [name for name, module in modules.items() if module.obstacle is None]

    def choose(self, module: str, shape: tuple[int, ...], dtype: str) -> Decision:
        """Decide for the weight of a module that Quanto can quantize."""
        choice = self.recipe.choose(module)
        if choice.weights is None:
            return Decision(reason=choice.reason)
        qtype = QTYPES[choice.weights]
        group_size, reason = self.group_sizes.find(qtype, shape, choice.group_size)
        stored = quantized_tensors(module, shape, dtype, qtype, group_size)
        size = math.prod(shape) * SIZES[dtype]
        quantized = sum(tensor.nbytes for tensor in stored)
        if quantized >= size:
            return Decision(
                reason=f"{choice.weights} would not be smaller ({quantized} of {size} bytes)"
            )
        return Decision(
            qtype=qtype,
            group_size=group_size,
            optimizer=self.recipe.optimizer if BITS[qtype] < 8 else "max",
            reason=reason,
        )

    def unused(self) -> list[str]:
        """Say which patterns of the recipe match no module that can be quantized."""
        return [
            f"{pattern} matches no module that can be quantized"
            for pattern in self.recipe.unmatched(self._modules)
        ]
