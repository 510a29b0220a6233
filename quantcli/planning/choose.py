"""How one weight is quantized: recipe, rules, and what would not be worth it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.dtypes import BITS, QTYPES, SIZES
from quantcli.planning.layout import default_group_size, quantized_tensors

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
        self._modules = [name for name, module in modules.items() if module.obstacle is None]

    def choose(self, module: str, shape: tuple[int, ...], dtype: str) -> Decision:
        """Decide for the weight of a module that Quanto can quantize."""
        choice = self.recipe.choose(module)
        if choice.weights is None:
            return Decision(reason=choice.reason)
        qtype = QTYPES[choice.weights]
        group_size, reason = self._group_size(qtype, shape, choice.group_size)
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

    @staticmethod
    def _group_size(
        qtype: str, shape: tuple[int, ...], asked: int | None
    ) -> tuple[int | None, str]:
        if BITS[qtype] == 8:
            return None, ""
        own = default_group_size(shape)
        row = math.prod(shape[1:])
        if asked is None or asked == own:
            return own, ""
        if row % asked == 0 and asked <= row:
            return asked, f"group size {asked} as asked, where Quanto takes {own or 'the row'}"
        return own, f"group size {own or 'the row'}: {asked} does not divide a row of {row}"
