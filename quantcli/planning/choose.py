"""How one weight is quantized: what the recipe says, and whether it would save bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.dtypes import SIZES
from quantcli.errors import UsageError
from quantcli.formats import WeightFormat, format_named
from quantcli.kinds.layout import Rows, Stored, grouped_shape
from quantcli.planning.compensation import OPTIMIZER, Rounding, find_rounding
from quantcli.planning.groups import GroupSizes
from quantcli.planning.plan import TensorPlan
from quantcli.text import some

if TYPE_CHECKING:
    from quantcli.calibration import Calibration
    from quantcli.planning.source import Source
    from quantcli.recipe import Recipe
    from quantcli.skeleton import WeightModule


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How a weight is quantized and what is then stored, or no qtype and the reason."""

    qtype: str | None = None
    group_size: int | None = None
    optimizer: str | None = None
    moment: str | None = None
    frozen_as: str = ""
    quantized_shape: tuple[int, ...] = ()
    transposed: bool = False
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


def may_quantize(recipe: Recipe, module: WeightModule) -> bool:
    """Return whether a recipe may quantize a module, patterns apart."""
    is_embedding = module.kind is not None and module.kind.is_embedding
    return bool(module.weights) and not (is_embedding and recipe.embeddings == "keep")


class Chooser:
    """Applies a recipe to weights, and knows which modules it may quantize."""

    def __init__(
        self,
        recipe: Recipe,
        modules: Mapping[str, WeightModule],
        component: Component | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self.recipe = recipe
        self._calibration = calibration
        self.group_sizes = component.group_sizes if component else GroupSizes()
        self._prefix = f"{component.name}." if component else ""
        self._modules = [name for name, module in modules.items() if may_quantize(recipe, module)]

    def pattern_name(self, module: WeightModule) -> str:
        """Return the name of a module as patterns see it."""
        return f"{self._prefix}{module.name}"

    def choose(self, module: WeightModule, tensor: TensorPlan) -> Decision:
        """Decide for `tensor`, a weight of a module that can be quantized."""
        kind = module.kind
        assert kind is not None
        choice = self.recipe.choose(self.pattern_name(module), is_embedding=kind.is_embedding)
        if choice.weights is None:
            return Decision(reason=choice.reason)
        weight_format = format_named(choice.weights)
        name = tensor.name.rpartition(".")[2]
        rows = module.weights[name]
        group_size, reason = self.group_sizes.find(weight_format, rows.shape, choice.group_size)
        stored = kind.stored(tensor.module, name, rows, tensor.dtype, weight_format, group_size)
        size = tensor.numel * SIZES[tensor.dtype]
        quantized = sum(tensor.nbytes for tensor in stored)
        if quantized >= size:
            return Decision(
                reason=f"{choice.weights} would not be smaller ({quantized} of {size} bytes)"
            )
        rounding = self._rounding(module, tensor, rows, group_size, weight_format)
        return Decision(
            qtype=weight_format.qtype,
            group_size=group_size,
            optimizer=rounding.optimizer,
            moment=rounding.moment,
            frozen_as=kind.frozen_as,
            quantized_shape=rows.shape,
            transposed=rows.transposed,
            stored=stored,
            reason="; ".join(filter(None, (reason, rounding.reason))),
        )

    def _rounding(
        self,
        module: WeightModule,
        tensor: TensorPlan,
        rows: Rows,
        group_size: int | None,
        weight_format: WeightFormat,
    ) -> Rounding:
        if not weight_format.is_grouped:
            return Rounding(optimizer="max")
        if self.recipe.optimizer != OPTIMIZER:
            return Rounding(optimizer=self.recipe.optimizer)
        if grouped_shape(rows.shape, group_size)[0] == 1:
            return Rounding(optimizer="max", reason="a single group: rounded plainly")
        return find_rounding(self._calibration, module, tensor.name, rows.shape)

    def why_not_shared(self, module: WeightModule, others: list[WeightModule]) -> str:
        """Return why the weight of a module, tied to that of others, is kept; "" if it need not be.

        Quantized it must stay one tensor: a table in which embeddings look up rows, and with which
        heads multiply.
        """
        if not others:
            return ""
        names = some([f"{other.name}.weight" for other in others], 1)
        if not (_is_table(module) and all(map(_is_table_or_head, others))):
            return f"tied to {names}; quantized, it would be stored twice"
        left_out = (self.recipe.excluded(self.pattern_name(other)) for other in others)
        why = next(filter(None, left_out), None)
        return f"tied to {names}, which is {why}" if why else ""

    @property
    def names(self) -> list[str]:
        """The names of the modules that the recipe may quantize, as patterns see them."""
        return [f"{self._prefix}{name}" for name in self._modules]


def decide(
    tensor: TensorPlan, source: Source, modules: Mapping[str, WeightModule], chooser: Chooser
) -> Decision:
    """Choose the qtype of a weight matrix, or the reason to keep it."""
    if chooser.recipe.downcast:
        return Decision(reason=f"cast to {tensor.dtype}")
    module, leaf = modules.get(tensor.module), tensor.name.rpartition(".")[2]
    if module is None or (leaf not in module.weights and not module.skip_reason):
        return Decision(reason=f"not a weight that is quantized ({tensor.kind})")
    tied = [modules[name.rpartition(".")[0]] for name in source.ties.tied_to(tensor.name)]
    apart = chooser.why_not_shared(module, tied)
    if apart:
        return Decision(reason=apart)
    if module.skip_reason:
        return Decision(reason=module.skip_reason)
    return chooser.choose(module, tensor)


def _is_table(module: WeightModule) -> bool:
    return module.kind is not None and module.kind.is_embedding and module.skip_reason is None


def _is_table_or_head(module: WeightModule) -> bool:
    return _is_table(module) or (module.kind is not None and module.kind.takes_a_table)


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
