"""What each module of a model can become, and the bytes of it: asked of the planner itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from quantcli.calibration import Calibration
from quantcli.errors import ModelError, UsageError
from quantcli.planning import Plan, Source, TensorPlan, make_plan
from quantcli.recipe import Recipe
from quantcli.skeleton import weight_modules
from quantcli.tuning.candidates import KEEP, Candidate

_ONE_SHARD = 2**63 - 1

Assignment = Mapping[str, Candidate]
"""The candidate of each module, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One candidate for a module: its bytes, and its quantized tensors as the planner has them.

    `nbytes` are those of all weights of the module. No tensors: the module is kept.
    """

    candidate: Candidate
    nbytes: int
    tensors: tuple[TensorPlan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleMenu:
    """The options of one module, the largest first: it keeps its `numel` weights."""

    name: str
    kind: str
    numel: int
    is_embedding: bool
    options: tuple[Option, ...]

    def option(self, candidate: Candidate) -> Option:
        """Return the option for a candidate. Raises `StopIteration` if the module has none."""
        return next(found for found in self.options if found.candidate == candidate)


@dataclass(frozen=True, kw_only=True)
class Menu:
    """The modules of a model that can be quantized, and what they can become.

    `fixed_bytes` are those of all other tensors of the output; `kept` names the modules for which
    no candidate is smaller than the weight as it is.
    """

    model: str
    modules: tuple[ModuleMenu, ...]
    kept: tuple[str, ...]
    embeddings: frozenset[str]
    fixed_bytes: int
    original_bytes: int

    @cached_property
    def smallest(self) -> int:
        """The bytes of the smallest model that the candidates allow."""
        return self.fixed_bytes + sum(module.options[-1].nbytes for module in self.modules)

    def nbytes(self, assignment: Assignment) -> int:
        """Return the bytes of the output for an assignment of all modules."""
        return self.fixed_bytes + sum(
            module.option(assignment[module.name]).nbytes for module in self.modules
        )

    def ratio(self, nbytes: int) -> float:
        """Return output bytes over original bytes."""
        return nbytes / self.original_bytes if self.original_bytes else 1.0


def make_menu(
    source: Source,
    candidates: Sequence[Candidate],
    base: Mapping[str, Any],
    calibration: Calibration | None = None,
) -> Menu:
    """Plan a model once for each candidate, and return what every module can become.

    `base` are the other keys of the recipe, such as the optimizer. The bytes do not depend on the
    `calibration`, but the plans of tensors name its moments. Raises `ModelError` if nothing
    can be quantized, `UsageError` if a group size divides no row.
    """
    kept = _plan(source, KEEP, base, None)
    plans = [_plan(source, candidate, base, calibration) for candidate in candidates]
    quantized = {tensor.name for plan in plans for tensor in plan.quantized}
    if not quantized:
        raise ModelError(f"{kept.model} has no module that can be quantized to {_list(candidates)}")
    embeddings = find_embeddings(source)
    before = _by_module(kept, quantized)
    options = {name: [_option(KEEP, tensors)] for name, tensors in before.items()}
    for candidate, plan in zip(candidates, plans, strict=True):
        for name, tensors in _by_module(plan, quantized).items():
            options[name].append(_option(candidate, tensors))
    modules = tuple(
        ModuleMenu(
            name=name,
            kind=before[name][0].kind,
            numel=sum(tensor.numel for tensor in before[name]),
            is_embedding=name in embeddings,
            options=_distinct(found),
        )
        for name, found in options.items()
    )
    changed = sum(module.options[0].nbytes for module in modules)
    return Menu(
        model=kept.model,
        modules=modules,
        kept=tuple(name for name in _weights(source) if name not in options),
        embeddings=frozenset(embeddings),
        fixed_bytes=kept.nbytes - changed,
        original_bytes=kept.original_bytes,
    )


def find_embeddings(source: Source) -> set[str]:
    """Return the names of the embeddings, as a recipe sees them."""
    return {
        f"{prefix}{name}"
        for prefix, part in _parts(source)
        for name, module in weight_modules(part.skeleton).items()
        if module.kind is not None and module.kind.is_embedding
    }


def _weights(source: Source) -> list[str]:
    """Return the names of all modules with a weight that a recipe may quantize."""
    return [
        f"{prefix}{name}"
        for prefix, part in _parts(source)
        for name, module in weight_modules(part.skeleton).items()
        if module.weights
    ]


def _parts(source: Source) -> list[tuple[str, Source]]:
    return [("", source), *((extra.prefix, extra.source) for extra in source.extras)]


def _plan(
    source: Source,
    candidate: Candidate,
    base: Mapping[str, Any],
    calibration: Calibration | None,
) -> Plan:
    """Return the plan of a model with the same candidate for all modules, embeddings included."""
    if candidate == KEEP:
        rules = [{"match": "*", "weights": "keep"}]
        recipe = Recipe.parse({**base, "weights": "int4", "embeddings": "int4", "rules": rules})
        return make_plan(recipe, source, max_shard_size=_ONE_SHARD)
    values = {**base, **candidate.rule(), "embeddings": candidate.weights}
    if not candidate.is_grouped:
        values["optimizer"] = "max"
    try:
        recipe = Recipe.parse(values)
        return make_plan(recipe, source, max_shard_size=_ONE_SHARD, calibration=calibration)
    except UsageError as error:
        message = error.message.removeprefix(f"--group-size {candidate.group_size} ")
        raise UsageError(f"--candidates: {candidate} {message}", hint=error.hint) from None


def _by_module(plan: Plan, names: set[str]) -> dict[str, tuple[TensorPlan, ...]]:
    found: dict[str, list[TensorPlan]] = defaultdict(list)
    for tensor in plan.tensors:
        if tensor.name in names:
            found[tensor.module].append(tensor)
    return {module: tuple(tensors) for module, tensors in found.items()}


def _option(candidate: Candidate, tensors: tuple[TensorPlan, ...]) -> Option:
    return Option(
        candidate=candidate,
        nbytes=sum(tensor.nbytes for tensor in tensors),
        tensors=tuple(tensor for tensor in tensors if tensor.action == "quantize"),
    )


def _distinct(options: Sequence[Option]) -> tuple[Option, ...]:
    """Return the options that lead to different tensors, the largest first.

    A group size that does not divide a row is Quanto's own again; a weight that would not be
    smaller is kept.
    """
    found: dict[tuple[Any, ...], Option] = {}
    for option in sorted(options, key=lambda option: option.candidate.group_size or 0):
        layout = tuple((t.name, t.qtype, t.group_size) for t in option.tensors)
        found.setdefault(layout, option)
    return tuple(sorted(found.values(), key=lambda option: -option.nbytes))


def _list(candidates: Sequence[Candidate]) -> str:
    return ", ".join(map(str, candidates))
