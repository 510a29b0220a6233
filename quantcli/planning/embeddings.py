"""What quantized embeddings would make of a model whose embeddings are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from quantcli.formats import QUANTIZED
from quantcli.planning.choose import Chooser, Component, decide
from quantcli.planning.groups import GroupSizes
from quantcli.planning.plan import Plan, TensorPlan

if TYPE_CHECKING:
    from quantcli.planning.source import Source
    from quantcli.recipe import Recipe
    from quantcli.skeleton import WeightModule

WORTH_TELLING = 0.1
"""Share of the kept bytes from which on embeddings are worth a message."""

DTYPE = "int8"


def with_int8_embeddings(
    plan: Plan,
    source: Source,
    modules: Mapping[str, WeightModule],
    recipe: Recipe,
    component: Component | None,
) -> int | None:
    """Return the bytes of the output with int8 embeddings, or None where they would be few less.

    `recipe` is that of the plan, and `component` what of a pipeline is planned.
    """
    if plan.weights not in QUANTIZED or recipe.embeddings != "keep":
        return None
    kept = [tensor for tensor in plan.tensors if tensor.action in ("keep", "cast")]
    alone = component and replace(component, group_sizes=GroupSizes())
    chooser = Chooser(recipe.override(embeddings=DTYPE), modules, alone)
    tables = [tensor for tensor in kept if _is_a_table(tensor, modules)]
    decisions = [(tensor, decide(tensor, source, modules, chooser)) for tensor in tables]
    quantized = [(tensor, found) for tensor, found in decisions if found.qtype is not None]
    before = sum(tensor.nbytes for tensor, _ in quantized)
    if not before or before < WORTH_TELLING * sum(tensor.nbytes for tensor in kept):
        return None
    return plan.nbytes - before + sum(p.nbytes for _, found in quantized for p in found.stored)


def _is_a_table(tensor: TensorPlan, modules: Mapping[str, WeightModule]) -> bool:
    module = modules.get(tensor.module)
    is_embedding = module is not None and module.kind is not None and module.kind.is_embedding
    return is_embedding and tensor.is_matrix and tensor.extra_for is None
