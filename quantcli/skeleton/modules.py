"""Which modules have a weight that can be quantized, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from quantcli.skeleton.routers import is_router
from quantcli.upstream.torch import declares_parameters

if TYPE_CHECKING:
    from torch import nn

    from quantcli.kinds.kind import Kind
    from quantcli.kinds.layout import Rows
    from quantcli.skeleton.build import Skeleton


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightModule:
    """A module that owns parameters.

    `skip_reason` says why its weights are not quantized, None where they can be. `kind` is then the
    kind of module that it is, and `weights` are the parameters that can be, by name.
    """

    name: str
    class_name: str
    kind: Kind | None
    skip_reason: str | None
    weights: Mapping[str, Rows]


def weight_modules(skeleton: Skeleton) -> dict[str, WeightModule]:
    """Return the modules that own parameters, by name."""
    return {module.name: module for module in _weight_modules(skeleton)}


def _weight_modules(skeleton: Skeleton) -> Iterator[WeightModule]:
    from quantcli.kinds.registry import kind_for

    held = held_elsewhere(skeleton.model)
    names: dict[int, list[str]] = {}
    for name, module in skeleton.model.named_modules(remove_duplicate=False):
        names.setdefault(id(module), []).append(name)
    for name, module in skeleton.model.named_modules(remove_duplicate=False):
        if not declares_parameters(module):
            continue
        kind, reason = kind_for(module, in_place=id(module) in held)
        if len(names[id(module)]) > 1:
            reason = "one module with two names"
        elif is_router(skeleton.model, name):
            reason = "a router stays in full precision"
        elif kind is None:
            reason = f"{type(module).__name__} is of no kind that can be quantized"
        yield WeightModule(
            name=name,
            class_name=type(module).__name__,
            kind=kind,
            skip_reason=reason,
            weights=kind.weights(module) if kind and reason is None else {},
        )


def held_elsewhere(model: nn.Module) -> set[int]:
    """Return the ids of modules that an attribute of a module holds in a list, tuple or dict.

    A forward that takes them from there would not see a module that replaces them.
    """
    return {
        id(held)
        for module in model.modules()
        for name, value in vars(module).items()
        if not name.startswith("_")
        for held in _modules_in(value)
    }


def _modules_in(value: object) -> Iterator[nn.Module]:
    from torch import nn

    values = value.values() if isinstance(value, dict) else value
    if isinstance(values, nn.Module):
        yield values
    elif isinstance(values, list | tuple | set) or isinstance(value, dict):
        for each in cast("Iterable[object]", values):
            yield from _modules_in(each)
