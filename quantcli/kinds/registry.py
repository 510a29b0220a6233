"""The kinds of modules that can be quantized. Every file of this package may register one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, TypeVar

import quantcli.kinds
from quantcli.formats import format_of
from quantcli.kinds.kind import Kind

if TYPE_CHECKING:
    from torch import nn

K = TypeVar("K", bound=type[Kind])

Spec = tuple[str, int | None]
"""How a weight is quantized: the name of its qtype, and its group size."""

_REGISTERED: list[Kind] = []


def register(kind: K) -> K:
    """Register a kind of module: a class decorator."""
    _REGISTERED.append(kind())
    return kind


@cache
def kinds() -> tuple[Kind, ...]:
    """Return every kind of module that can be quantized, those of Quanto's own kernels first."""
    for module in iter_modules(quantcli.kinds.__path__, "quantcli.kinds."):
        import_module(module.name)
    return tuple(sorted(_REGISTERED, key=lambda kind: kind.frozen_as == "parameter"))


def kind_for(module: nn.Module, *, in_place: bool = False) -> tuple[Kind | None, str | None]:
    """Return the kind that takes a module, or one that would, and why its weights are kept.

    `in_place` is for a module that cannot be replaced by another one.
    """
    first: tuple[Kind | None, str | None] = (None, None)
    for kind in kinds():
        if in_place and kind.frozen_as != "parameter":
            continue
        if not (kind.takes(module) and kind.weights(module)):
            continue
        reason = kind.skip_reason(module)
        if reason is None:
            return kind, None
        if first[0] is None:
            first = (kind, reason)
    return first


def freeze(
    module: nn.Module,
    weights: Mapping[str, Spec],
    *,
    adapted: bool,
    activations: str | None = None,
) -> nn.Module:
    """Return the frozen counterpart of a module, without its weights, on the meta device.

    `weights` are its quantized parameters, by name. An `adapted` module keeps its class; otherwise
    a subclass becomes the plain class, as with Quanto: that this is right was checked when it was
    quantized. `activations` is the qtype of those. Raises `TypeError` for a module of no kind,
    `KeyError` for an unknown qtype or name.
    """
    specs = {name: (format_of(qtype), size) for name, (qtype, size) in weights.items()}
    for kind in kinds():
        if kind.takes(module) and (kind.frozen_as == "parameter") is adapted:
            return kind.freeze(module, specs, activations)
    raise TypeError(f"{type(module).__name__} has no frozen counterpart")


def share(module: nn.Module, name: str, spec: Spec) -> nn.Module:
    """Return a module that uses a quantized parameter of another one as its own."""
    from quantcli.kinds.adapted import FrozenParameters, adapt
    from quantcli.kinds.layout import Rows

    qtype, group_size = spec
    shape = tuple(module.get_parameter(name).shape)
    weights = {name: (format_of(qtype), group_size)}
    return adapt(module, FrozenParameters, {name: Rows(shape=shape)}, weights, shared=True)
