"""Which modules have a weight that can be quantized, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.skeleton.routers import is_router
from quantcli.upstream.torch import declares_parameters

if TYPE_CHECKING:
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

    names: dict[int, list[str]] = {}
    for name, module in skeleton.model.named_modules(remove_duplicate=False):
        names.setdefault(id(module), []).append(name)
    for name, module in skeleton.model.named_modules(remove_duplicate=False):
        if not declares_parameters(module):
            continue
        kind, reason = kind_for(module)
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
