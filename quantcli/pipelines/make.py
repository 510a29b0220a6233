"""Make the plan of a pipeline from a recipe and the sources of its components."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from quantcli.errors import UsageError
from quantcli.formats import QUANTIZED
from quantcli.pipelines.copied import copy_of, is_unchanged, plan_copy
from quantcli.pipelines.pipeline import Component
from quantcli.pipelines.plan import ComponentPlan, PipelinePlan, joined_shards, joined_tensors
from quantcli.pipelines.source import PipelineSource, naming_no_class
from quantcli.planning import Component as PlannedAs
from quantcli.planning import Plan, Source, make_plan
from quantcli.planning.choose import check_include, may_quantize, unused
from quantcli.planning.coverage import coverage_notices
from quantcli.planning.groups import GroupSizes
from quantcli.recipe.values import NONE
from quantcli.skeleton import weight_modules

if TYPE_CHECKING:
    from quantcli.recipe import Recipe


def plan_pipeline(recipe: Recipe, source: PipelineSource, *, max_shard_size: int) -> PipelinePlan:
    """Decide what happens to every component of a pipeline, and to every tensor of its models.

    The recipe's patterns match names that start with the component: "unet.mid_block.*". A model in
    which nothing changes is copied. Raises as `make_plan` does.
    """
    if recipe.activations != NONE:
        raise UsageError(
            f"{source.checkpoint.model} is a pipeline: its activations cannot be quantized",
            hint="leave out --activations",
        )
    group_sizes = GroupSizes()
    components = tuple(
        _plan(recipe, component, source, max_shard_size, group_sizes)
        for component in source.checkpoint.components
        if component.checkpoint is not None
    )
    plan = _join(recipe, source, components)
    names = [name for key, part in source.sources.items() for name in _names(recipe, key, part)]
    check_include(recipe, names, plan.tensors)
    notices = (
        *_notices(components),
        *coverage_notices(plan),
        *unused(recipe, names),
        *group_sizes.check(),
    )
    return replace(plan, notices=notices)


def _plan(
    recipe: Recipe,
    component: Component,
    source: PipelineSource,
    max_shard_size: int,
    group_sizes: GroupSizes,
) -> ComponentPlan:
    name, checkpoint = component.name, component.checkpoint
    assert checkpoint is not None, name
    if name not in source.sources:
        plan = plan_copy(component, weights=recipe.weights)
        return ComponentPlan(name=name, package=component.part.package, action="copy", plan=plan)
    planned_as = PlannedAs(name=name, group_sizes=group_sizes)
    with naming_no_class():
        plan = make_plan(
            recipe, source.sources[name], max_shard_size=max_shard_size, component=planned_as
        )
    copied = is_unchanged(plan)
    if copied:
        plan = copy_of(plan, checkpoint)
    elif component.of_diffusers:
        plan = replace(plan, shards=tuple(f"diffusion_pytorch_{shard}" for shard in plan.shards))
    return ComponentPlan(
        name=name,
        package=component.part.package,
        action="copy" if copied else "write",
        plan=plan,
    )


def _join(
    recipe: Recipe, source: PipelineSource, components: Sequence[ComponentPlan]
) -> PipelinePlan:
    pipeline = source.checkpoint
    sizes = Counter[str]()
    for component in components:
        sizes.update(component.plan.original_dtypes)
    largest = max(components, key=lambda component: component.plan.original_bytes)
    return PipelinePlan(
        model=pipeline.model,
        revision=pipeline.revision,
        architecture=pipeline.index.class_name,
        dtype=largest.plan.dtype,
        weights=recipe.weights,
        recipe=recipe.to_dict(),
        original_dtypes=dict(sizes.most_common()),
        tensors=joined_tensors(components),
        shards=joined_shards(components),
        untied=tuple(f"{each.name}.{name}" for each in components for name in each.plan.untied),
        components=tuple(components),
        with_int8_embeddings=_with_int8_embeddings([each.plan for each in components]),
    )


def _with_int8_embeddings(plans: Sequence[Plan]) -> int | None:
    """Return the bytes of all components, with int8 embeddings where they are worth it."""
    if not any(plan.with_int8_embeddings for plan in plans):
        return None
    return sum(plan.with_int8_embeddings or plan.nbytes for plan in plans)


def _names(recipe: Recipe, component: str, source: Source) -> Iterator[str]:
    """Yield the names of the modules that the recipe may quantize, as patterns see them."""
    for name, module in weight_modules(source.skeleton).items():
        if may_quantize(recipe, module):
            yield f"{component}.{name}"


def _notices(components: Sequence[ComponentPlan]) -> Iterator[str]:
    """Yield what the user should know about single components."""
    for component in components:
        yield from (f"{component.name}: {notice}" for notice in component.plan.notices)
        if component.action == "copy" and component.plan.weights in QUANTIZED:
            yield f"{component.name}: {_why_copied(component.plan)}; its files are copied"


def _why_copied(plan: Plan) -> str:
    kept = plan.kept_matrices()
    return kept[0].reason if kept else "it has no weight matrices"
