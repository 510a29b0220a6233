"""Make a plan from a recipe, a checkpoint and a skeleton."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from quantcli.dtypes import SIZES, dtype_name, is_float
from quantcli.kinds.layout import Stored
from quantcli.planning.activations import layer_norms, with_activations
from quantcli.planning.choose import (
    Chooser,
    Component,
    Decision,
    check_include,
    decide,
    unused,
)
from quantcli.planning.coverage import coverage_notices
from quantcli.planning.embeddings import with_int8_embeddings
from quantcli.planning.extras import Extra
from quantcli.planning.original import measure_original
from quantcli.planning.plan import Plan, TensorPlan
from quantcli.planning.shards import assign_shards
from quantcli.planning.source import Source
from quantcli.skeleton import Entry, WeightModule, weight_modules
from quantcli.text import plural, some

if TYPE_CHECKING:
    from quantcli.calibration import Calibration
    from quantcli.recipe import Recipe


def make_plan(
    recipe: Recipe,
    source: Source,
    *,
    max_shard_size: int,
    component: Component | None = None,
    calibration: Calibration | None = None,
) -> Plan:
    """Decide what happens to every tensor of the model, which may be a `component` of a pipeline.

    `calibration` is for a recipe with the optimizer "gptq".
    Raises `ModelError` if the checkpoint lacks a tensor or has one of another shape; `UsageError`
    if the recipe's include patterns match nothing that can be quantized, or if the requested group
    size divides no row.
    """
    original = measure_original(source)
    modules = weight_modules(source.skeleton)
    chooser = Chooser(recipe, modules, component, calibration)
    tensors = [
        _plan_entry(entry, source, modules, chooser) for entry in source.skeleton.entries.values()
    ]
    tensors += [
        planned for extra in source.extras for planned in _plan_extra(extra, source, chooser)
    ]
    if component is None:
        check_include(recipe, chooser.names, tensors)
    more: list[str] = []
    if recipe.activations != "none":
        tensors, more = with_activations(tensors, source, recipe)
    sharded, shards = assign_shards(tensors, max_shard_size)
    plan = Plan(
        model=source.checkpoint.model,
        revision=source.checkpoint.revision,
        architecture=source.skeleton.architecture,
        dtype=dtype_name(source.skeleton.dtype),
        weights=recipe.weights,
        recipe=recipe.to_dict(),
        original_dtypes=original.dtypes,
        tensors=sharded,
        shards=shards,
        untied=(*source.ties.untied, *(name for extra in source.extras for name in extra.untied)),
    )
    notices = [*_notices(plan, source), *more]
    if component is None:
        norms = layer_norms(source.skeleton) if recipe.activations != "none" else ()
        notices += [*coverage_notices(plan), *unused(recipe, [*chooser.names, *norms])]
        notices += chooser.group_sizes.check()
    smaller = with_int8_embeddings(plan, source, modules, recipe, component)
    return replace(plan, notices=tuple(notices), with_int8_embeddings=smaller)


def _plan_entry(
    entry: Entry, source: Source, modules: Mapping[str, WeightModule], chooser: Chooser
) -> TensorPlan:
    module_name = entry.name.rpartition(".")[0]
    module = modules.get(module_name)
    base = TensorPlan(
        name=entry.name,
        module=module_name,
        kind=module.class_name if module else "",
        action="keep",
        dtype=entry.dtype,
        shape=entry.shape,
        is_parameter=entry.is_parameter,
    )
    if entry.name in source.ties.aliases:
        owner = source.ties.aliases[entry.name]
        return replace(base, action="alias", reason=f"same tensor as {owner}", alias_of=owner)
    binding = source.binding(entry.name)
    if binding is None:
        return replace(base, action="compute", reason="transformers computes it")
    base = replace(
        base,
        sources=binding.sources,
        conversion=binding.conversion,
        end_to_end=binding.end_to_end,
    )
    decision = Decision(reason="not a weight matrix")
    if base.is_matrix:
        decision = decide(base, source, modules, chooser)
    if decision.qtype is not None:
        return _quantized(base, decision)
    return _unquantized(base, decision.reason, source)


def _plan_extra(extra: Extra, source: Source, chooser: Chooser) -> Iterator[TensorPlan]:
    """Plan what another class loads, under the names that its loader looks for."""
    prefix = extra.prefix
    modules = {
        name: replace(module, name=f"{prefix}{name}")
        for name, module in weight_modules(extra.source.skeleton).items()
    }
    why = f"not part of {source.skeleton.architecture}; kept for {extra.architecture}"
    for name in extra.names:
        entry = extra.source.skeleton.entries[name]
        planned = _plan_entry(entry, extra.source, modules, chooser)
        yield replace(
            planned,
            name=f"{prefix}{planned.name}",
            module=f"{prefix}{planned.module}",
            alias_of=planned.alias_of and f"{prefix}{planned.alias_of}",
            reason=why if planned.action != "quantize" or not planned.reason else planned.reason,
            stored=tuple(replace(part, name=f"{prefix}{part.name}") for part in planned.stored),
            extra_for=extra.architecture,
        )


def _quantized(tensor: TensorPlan, decision: Decision) -> TensorPlan:
    return replace(
        tensor,
        action="quantize",
        reason=decision.reason,
        qtype=decision.qtype,
        group_size=decision.group_size,
        optimizer=decision.optimizer,
        moment=decision.moment,
        frozen_as=decision.frozen_as,
        quantized_shape=decision.quantized_shape,
        transposed=decision.transposed,
        stored=decision.stored,
    )


def _unquantized(tensor: TensorPlan, reason: str, source: Source) -> TensorPlan:
    records = source.checkpoint.tensors
    same = all(records[name].dtype == tensor.dtype for name in tensor.sources)
    return replace(
        tensor,
        action="keep" if same else "cast",
        reason=reason,
        stored=(Stored(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape),),
    )


def _notices(plan: Plan, source: Source) -> list[str]:
    """Return what the user should know before the plan is run."""
    notices = []
    ignored = [name for name in source.unexpected if not source.skeleton.expected_elsewhere(name)]
    if ignored:
        notices.append(
            f"not part of {plan.architecture}, and left out: "
            f"{plural(len(ignored), 'tensor')} ({some(ignored)})"
        )
    extra = [tensor for tensor in plan.tensors if tensor.extra_for]
    if extra:
        classes = ", ".join(dict.fromkeys(str(tensor.extra_for) for tensor in extra))
        notices.append(
            f"not part of {plan.architecture}, but kept for {classes}: "
            f"{plural(len(extra), 'tensor')} ({some([tensor.name for tensor in extra])})"
        )
    codes = _stored_as_codes(plan, source)
    if codes:
        notices.append(
            f"{some(codes)}: cast to {plan.dtype}; if another tool quantized this checkpoint, "
            "the result is wrong"
        )
    if plan.untied:
        notices.append(
            f"{some(plan.untied)}: stored separately; the config ties it, but the checkpoint has "
            "a separate tensor"
        )
    casts = {tensor.dtype for tensor in plan.tensors if tensor.action == "cast"}
    if plan.nbytes > plan.original_bytes and any(is_float(dtype) for dtype in casts):
        notices.append(
            f"the output is larger than the original, because the checkpoint is cast to "
            f"{plan.dtype} (--rest float16 or bfloat16 makes it smaller)"
        )
    return notices


def _stored_as_codes(plan: Plan, source: Source) -> list[str]:
    """List the weight matrices that the checkpoint stores as integers, or in one byte a value."""
    dtypes = {name: record.dtype for name, record in source.checkpoint.tensors.items()}
    return [
        f"{tensor.name} ({dtypes[tensor.sources[0]]})"
        for tensor in plan.tensors
        if tensor.is_matrix and any(_is_code(dtypes[name]) for name in tensor.sources)
    ]


def _is_code(dtype: str) -> bool:
    return SIZES[dtype] == 1 or not is_float(dtype)
