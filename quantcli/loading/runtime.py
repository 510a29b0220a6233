"""How a loaded model computes: what `load` was asked for, and whether the model can do it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from quantcli.errors import UsageError
from quantcli.process import keep_freed_memory
from quantcli.text import some

if TYPE_CHECKING:
    from torch import nn

    from quantcli.kernels import Runtime

_ASKED: ContextVar[Mapping[str, str] | None] = ContextVar("asked", default=None)


@contextmanager
def asking(**asked: str | None) -> Iterator[None]:
    """Let models that are loaded meanwhile compute with these `kernels` and `activations`.

    What is None stays as it was asked for outside.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    token = _ASKED.set({**(_ASKED.get() or {}), **given})
    try:
        yield
    finally:
        _ASKED.reset(token)


def set_runtime(model: nn.Module, section: Mapping[str, Any]) -> None:
    """Let the frozen modules of a model compute as asked, or as its section says.

    Raises `UsageError` if that is unknown, or nothing in the model can compute so.
    """
    from quantcli.kernels import Runtime
    from quantcli.kinds.frozen import FrozenModule

    asked = _ASKED.get() or {}
    runtime = Runtime.decide(
        section, kernels=asked.get("kernels"), activations=asked.get("activations")
    )
    frozen = [module for module in model.modules() if isinstance(module, FrozenModule)]
    if runtime.activations:
        _check_activations(runtime, frozen)
        keep_freed_memory()
    for module in frozen:
        module.runtime = runtime


def runtime_of(model: nn.Module) -> Runtime | None:
    """Return how a loaded model computes, None if nothing in it is frozen."""
    from quantcli.kinds.frozen import FrozenModule

    frozen = (module for module in model.modules() if isinstance(module, FrozenModule))
    return next((module.runtime for module in frozen), None)


def _check_activations(runtime: Runtime, frozen: list[Any]) -> None:
    from quantcli.kernels.machine import has_int8_products
    from quantcli.kinds.conv2d import FrozenConv2d
    from quantcli.kinds.linear import FrozenLinear

    what = f"runtime activations {runtime.activations}"
    if not has_int8_products():
        raise UsageError(
            f"{what} need a CPU with AVX-512 VNNI, which this one does not have",
            hint="load it without them",
        )
    served = [module for module in frozen if isinstance(module, (FrozenLinear, FrozenConv2d))]
    if any(module.weight_qtype.name == "qint8" for module in served):
        return
    formats = sorted(
        {
            weight.weight_format.name
            for module in frozen
            for weight in module.frozen_weights().values()
        }
    )
    raise UsageError(
        f"{what} need layers with int8 weights; this model has {some(formats, 5) or 'none'}",
        hint="load it without them, or quantize it with --weights int8",
    )
