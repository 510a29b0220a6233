"""Recipe x checkpoint x skeleton -> plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from quantcli.dtypes import DOWNCASTS, SIZES, is_float
from quantcli.errors import ModelError, UsageError
from quantcli.planning.choose import Chooser, Decision
from quantcli.planning.coverage import coverage_notice
from quantcli.planning.extras import Extra
from quantcli.planning.layout import quantized_tensors
from quantcli.planning.plan import Plan, Stored, TensorPlan
from quantcli.planning.shards import assign_shards
from quantcli.planning.source import Source
from quantcli.skeleton import Entry, WeightModule, weight_modules
from quantcli.text import plural, some

if TYPE_CHECKING:
    from quantcli.recipe import Recipe


def make_plan(recipe: Recipe, source: Source, *, max_shard_size: int) -> Plan:
    """Decide what becomes of every tensor of the model.

    Raises `ModelError` where the checkpoint lacks a tensor or has one of another shape, and
    `UsageError` where the recipe's include patterns match nothing that can be quantized, or where
    no row can be divided into groups of the size that was asked for.
    """
    _check(source)
    modules = weight_modules(source.skeleton)
    chooser = Chooser(recipe, modules)
    tensors = [
        _plan_entry(entry, source, modules, chooser) for entry in source.skeleton.entries.values()
    ]
    tensors += [
        planned for extra in source.extras for planned in _plan_extra(extra, source, chooser)
    ]
    possible = any(module.obstacle is None for module in modules.values())
    if recipe.include and possible and not any(t.action == "quantize" for t in tensors):
        patterns = ", ".join(recipe.include)
        raise UsageError(
            f"--include {patterns} matches no module that can be quantized",
            hint=f"modules are named like {_example(modules)}",
        )
    sharded, shards = assign_shards(tensors, max_shard_size)
    plan = Plan(
        model=source.checkpoint.model,
        revision=source.checkpoint.revision,
        architecture=source.skeleton.architecture,
        dtype=str(source.skeleton.dtype).removeprefix("torch."),
        weights=recipe.weights,
        recipe=recipe.to_dict(),
        original_dtypes=_original(sharded, source),
        tensors=sharded,
        shards=shards,
        untied=(*source.ties.untied, *(name for extra in source.extras for name in extra.untied)),
    )
    notices = (*_notices(plan, source), *chooser.unused(), *chooser.group_sizes.check())
    return replace(plan, notices=notices)


def _check(source: Source) -> None:
    """Refuse a checkpoint that lacks tensors of the model, or has them in other shapes."""
    missing, misshapen = [], []
    for name, entry in source.skeleton.entries.items():
        binding = source.binding(name)
        if name in source.ties.aliases:
            continue
        if binding is None:
            if entry.is_parameter and not source.skeleton.computed(name):
                missing.append(name)
        elif binding.shape != entry.shape:
            misshapen.append(f"{name} is {list(binding.shape)}, not {list(entry.shape)}")
    where = f"cannot load {source.checkpoint.model} as {source.skeleton.architecture}"
    if missing:
        raise ModelError(
            f"{where}: {plural(len(missing), 'tensor')} missing ({some(missing)})",
            hint="config.json must name the class that was saved; --class chooses another",
        )
    if misshapen:
        raise ModelError(
            f"{where}: {plural(len(misshapen), 'tensor')} of another shape ({some(misshapen)})",
            hint="config.json and the weights are not from the same model",
        )


def _example(modules: Mapping[str, WeightModule]) -> str:
    named = [module.name for module in modules.values() if module.obstacle is None]
    return named[len(named) // 2] if named else "encoder.layer.0.attention.self.query"


def _plan_entry(
    entry: Entry, source: Source, modules: Mapping[str, WeightModule], chooser: Chooser
) -> TensorPlan:
    module_name, _, leaf = entry.name.rpartition(".")
    module = modules.get(module_name)
    base = TensorPlan(
        name=entry.name,
        module=module_name,
        kind=module.kind if module else "",
        action="keep",
        dtype=entry.dtype,
        shape=entry.shape,
        is_parameter=entry.is_parameter,
    )
    if entry.name in source.ties.aliases:
        return replace(
            base, action="alias", reason=f"same tensor as {source.ties.aliases[entry.name]}"
        )
    binding = source.binding(entry.name)
    if binding is None:
        return replace(base, action="compute", reason="transformers computes it")
    base = replace(base, sources=binding.sources, conversion=binding.conversion)
    decision = Decision(reason="not a weight matrix")
    if base.is_matrix:
        decision = _decide(base, leaf, source, module, chooser)
    if decision.qtype is not None:
        return _quantized(base, decision)
    return _unquantized(base, decision.reason, source)


def _plan_extra(extra: Extra, source: Source, chooser: Chooser) -> Iterator[TensorPlan]:
    """Plan what another class takes, under the names that its loader finds."""
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
            reason=why if planned.action != "quantize" or not planned.reason else planned.reason,
            stored=tuple(replace(part, name=f"{prefix}{part.name}") for part in planned.stored),
            extra_for=extra.architecture,
        )


def _decide(
    tensor: TensorPlan, leaf: str, source: Source, module: WeightModule | None, chooser: Chooser
) -> Decision:
    """Choose the qtype of a weight matrix, or the reason to keep it."""
    aliases = [name for name, owner in source.ties.aliases.items() if owner == tensor.name]
    if chooser.recipe.weights in DOWNCASTS:
        return Decision(reason=f"cast to {tensor.dtype}")
    if aliases:
        return Decision(reason=f"tied to {some(aliases, 1)}; quantized, it would be stored twice")
    if module is None or leaf != "weight":
        return Decision(reason=f"not in a layer that Quanto quantizes ({tensor.kind})")
    if module.obstacle:
        return Decision(reason=module.obstacle)
    return chooser.choose(module.name, tensor.shape, tensor.dtype)


def _quantized(tensor: TensorPlan, decision: Decision) -> TensorPlan:
    assert decision.qtype is not None
    return replace(
        tensor,
        action="quantize",
        reason=decision.reason,
        qtype=decision.qtype,
        group_size=decision.group_size,
        optimizer=decision.optimizer,
        stored=quantized_tensors(
            tensor.module, tensor.shape, tensor.dtype, decision.qtype, decision.group_size
        ),
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


def _original(tensors: Sequence[TensorPlan], source: Source) -> dict[str, int]:
    """Count the bytes of the tensors that the model takes from the checkpoint, by dtype."""
    used = {name: None for tensor in tensors for name in tensor.sources}
    sizes: Counter[str] = Counter()
    for name in used:
        record = source.checkpoint.tensors[name]
        sizes[record.dtype] += record.nbytes
    return dict(sizes.most_common())


def _notices(plan: Plan, source: Source) -> list[str]:
    """Say what a user should know before running the plan."""
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
    low = coverage_notice(plan)
    if low is not None:
        notices.append(low)
    casts = {tensor.dtype for tensor in plan.tensors if tensor.action == "cast"}
    if plan.nbytes > plan.original_bytes and any(is_float(dtype) for dtype in casts):
        notices.append(
            f"the output is larger than the original, because the checkpoint is cast to "
            f"{plan.dtype} (--rest float16 or bfloat16 makes it smaller)"
        )
    return notices


def _stored_as_codes(plan: Plan, source: Source) -> list[str]:
    """List the weight matrices that the checkpoint holds as integers, or in a byte each."""
    dtypes = {name: record.dtype for name, record in source.checkpoint.tensors.items()}
    return [
        f"{tensor.name} ({dtypes[tensor.sources[0]]})"
        for tensor in plan.tensors
        if tensor.is_matrix and any(_is_code(dtypes[name]) for name in tensor.sources)
    ]


def _is_code(dtype: str) -> bool:
    return SIZES[dtype] == 1 or not is_float(dtype)
