"""Record what the models of a pipeline are called with and return; call other models with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn

METHODS = ("forward", "encode", "decode")
"""The methods by which pipelines call their models: a VAE by the latter two."""

INPUT = ".in."
"""Stands in the names of recorded inputs, between the number of the call and of the tensor."""


@dataclass(frozen=True, slots=True)
class Held:
    """The place of a tensor in the arguments of a call: it is kept under this name."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a model: the component, the method, and the arguments without their tensors.

    `dtype` is that of the model: inputs in this dtype are cast to that of a model called later.
    """

    component: str
    method: str
    arguments: Any
    dtype: torch.dtype


@dataclass
class Recording:
    """The calls of one run of a pipeline, with their input tensors and outputs on the CPU."""

    calls: list[Call] = field(default_factory=list)
    inputs: dict[str, torch.Tensor] = field(default_factory=dict)
    outputs: dict[str, list[torch.Tensor]] = field(default_factory=dict)

    def vectors(self) -> dict[str, torch.Tensor]:
        """Return what each component returned in all calls, as one vector in float32."""
        return {name: _joined(parts) for name, parts in self.outputs.items() if parts}


@contextmanager
def recorded(models: Mapping[str, nn.Module]) -> Iterator[Recording]:
    """Record every call of these models, by component, until the block ends.

    A call from within another one of the same model is part of that.
    """
    recording = Recording()
    with ExitStack() as stack:
        for name, model in models.items():
            busy: list[str] = []
            for method in METHODS:
                if hasattr(model, method):
                    record = _recorder(recording, name, model, method, busy)
                    setattr(model, method, record)
                    stack.callback(delattr, model, method)
        yield recording


def replay(
    calls: list[Call], inputs: Mapping[str, torch.Tensor], models: Mapping[str, Any]
) -> dict[str, torch.Tensor]:
    """Call models as others were called; return what each returns in all calls, as one vector."""
    found: dict[str, list[torch.Tensor]] = {}
    for call in calls:
        model = models[call.component]
        given, named = _unpacked(call, inputs, model)
        output = getattr(model, call.method)(*given, **named)
        found.setdefault(call.component, []).extend(_floats(output))
    return {name: _joined(parts) for name, parts in found.items() if parts}


def _recorder(
    recording: Recording, component: str, model: Any, method: str, busy: list[str]
) -> Callable[..., Any]:
    original = getattr(model, method)

    def record(*args: Any, **kwargs: Any) -> Any:
        if busy:
            return original(*args, **kwargs)
        busy.append(method)
        try:
            names = (f"{component}.{len(recording.calls)}{INPUT}{i}" for i in itertools.count())
            arguments = _packed((args, kwargs), recording.inputs, names)
            output = original(*args, **kwargs)
        finally:
            busy.clear()
        recording.calls.append(
            Call(component=component, method=method, arguments=arguments, dtype=model.dtype)
        )
        recording.outputs.setdefault(component, []).extend(_floats(output))
        return output

    return record


def _packed(value: Any, kept: dict[str, torch.Tensor], names: Iterator[str]) -> Any:
    """Return a value with a `Held` for each tensor, which goes into `kept`."""
    if isinstance(value, torch.Tensor):
        held = Held(next(names))
        kept[held.name] = _to_cpu(value)
        return held
    if isinstance(value, Mapping):
        return {key: _packed(part, kept, names) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_packed(part, kept, names) for part in value]
    return value


def _unpacked(call: Call, inputs: Mapping[str, torch.Tensor], model: Any) -> Any:
    def unpack(value: Any) -> Any:
        if isinstance(value, Held):
            tensor = inputs[value.name]
            cast = model.dtype if tensor.dtype == call.dtype else None
            return tensor.to(model.device, cast)
        if isinstance(value, Mapping):
            return {key: unpack(part) for key, part in value.items()}
        if isinstance(value, list):
            return [unpack(part) for part in value]
        return value

    return unpack(call.arguments)


def _floats(value: Any) -> Iterator[torch.Tensor]:
    """Yield the floating-point tensors of an output, on the CPU."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield _to_cpu(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _floats(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _floats(part)


def _to_cpu(tensor: torch.Tensor) -> torch.Tensor:
    """Return a copy that nobody else writes to."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([part.flatten().float() for part in parts])
