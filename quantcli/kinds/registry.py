"""The kinds of modules that can be quantized. Every file of this package may register one."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, TypeVar

import quantcli.kinds
from quantcli.kinds.kind import Kind

if TYPE_CHECKING:
    from optimum.quanto import QModuleMixin
    from torch import nn

K = TypeVar("K", bound=type[Kind])

_REGISTERED: list[Kind] = []


def register(kind: K) -> K:
    """Register a kind of module: a class decorator."""
    _REGISTERED.append(kind())
    return kind


@cache
def kinds() -> tuple[Kind, ...]:
    """Return every kind of module that can be quantized."""
    for module in iter_modules(quantcli.kinds.__path__, "quantcli.kinds."):
        import_module(module.name)
    return tuple(_REGISTERED)


def freeze(module: nn.Module, qtype: str, group_size: int | None) -> QModuleMixin:
    """Return the frozen counterpart of a module, without its weight, on the meta device.

    A subclass becomes the plain class, as with Quanto: that this is right was checked when it was
    quantized. Raises `TypeError` for a module of no kind, `KeyError` for an unknown qtype.
    """
    kind = kind_of(module)
    if kind is None:
        raise TypeError(f"{type(module).__name__} has no frozen counterpart")
    return kind.freeze(module, qtype, group_size)


def kind_of(module: nn.Module) -> Kind | None:
    """Return the kind of a module, None if modules like it cannot be quantized."""
    return next((kind for kind in kinds() if kind.takes(module)), None)
