"""Which modules have a weight that can be quantized, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.upstream.torch import declares_parameters

if TYPE_CHECKING:
    from torch import nn

    from quantcli.kinds.kind import Kind
    from quantcli.skeleton.build import Skeleton


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightModule:
    """A module that owns parameters.

    `skip_reason` says why its weight is not quantized, None where it can be. `kind` is then the
    kind of module that it is.
    """

    name: str
    class_name: str
    kind: Kind | None
    skip_reason: str | None


def weight_modules(skeleton: Skeleton) -> dict[str, WeightModule]:
    """Return the modules that own parameters, by name."""
    return {module.name: module for module in _weight_modules(skeleton)}


def _weight_modules(skeleton: Skeleton) -> Iterator[WeightModule]:
    names: dict[int, list[str]] = {}
    for name, module in skeleton.model.named_modules(remove_duplicate=False):
        names.setdefault(id(module), []).append(name)
    for name, module in skeleton.model.named_modules(remove_duplicate=False):
        if not declares_parameters(module):
            continue
        kind, reason = _kind_of(module)
        if len(names[id(module)]) > 1:
            reason = "one module with two names"
        yield WeightModule(
            name=name, class_name=type(module).__name__, kind=kind, skip_reason=reason
        )


def _kind_of(module: nn.Module) -> tuple[Kind | None, str | None]:
    """Return the kind of a module, and the reason why its weight must be kept."""
    from quantcli.kinds.registry import kind_of

    kind = kind_of(module)
    if kind is None:
        return None, f"Quanto does not quantize {type(module).__name__}"
    return kind, kind.skip_reason(module)
