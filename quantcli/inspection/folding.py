"""Tensors taken together: by module, by the start of a name, or over the layers of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from quantcli.inspection.records import (
    Inspection,
    ModuleInspection,
    TensorInspection,
    together,
)
from quantcli.text import layer_pattern


def fold(inspection: Inspection, depth: int | None = None) -> tuple[ModuleInspection, ...]:
    """Return the modules of a model, each named by the first `depth` parts of its name.

    Numbers count as parts: `encoder.layer.0` is a module of depth 3. Tensors whose module has fewer
    parts are together under its whole name. Without `depth` every module stands for itself; depth
    0 is the whole model, named "". In the order of the model.
    """

    def key(tensor: TensorInspection) -> str:
        parts = tensor.module.split(".")
        return tensor.module if depth is None else ".".join(parts[:depth])

    return _by(inspection, key)


def fold_layers(inspection: Inspection) -> tuple[ModuleInspection, ...]:
    """Return the tensors of a model, those that differ only in the numbers of layers together.

    They are named as `layer_pattern` does: `encoder.layer.*.output.dense.weight`. Tensors of
    another shape, format or group size stay apart; one by itself keeps its name.
    """
    groups: dict[tuple[object, ...], list[TensorInspection]] = {}
    for tensor in inspection.tensors:
        key = (layer_pattern(tensor.name), *look(tensor))
        groups.setdefault(key, []).append(tensor)
    return tuple(_alike(str(key[0]), tensors) for key, tensors in groups.items())


def unfold(inspection: Inspection) -> tuple[ModuleInspection, ...]:
    """Return every tensor by itself, as `fold_layers` does those that have no like."""
    return tuple(_alike(tensor.name, [tensor]) for tensor in inspection.tensors)


def look(tensor: TensorInspection) -> tuple[object, ...]:
    """Return what tensors must have in common to share a row of a table."""
    return tensor.shape, tensor.format, tensor.group_size, tensor.action


def _alike(name: str, tensors: list[TensorInspection]) -> ModuleInspection:
    first = tensors[0]
    found = together(name if len(tensors) > 1 else first.name, tensors)
    return replace(found, alike=first)


def _by(
    inspection: Inspection, key: Callable[[TensorInspection], str]
) -> tuple[ModuleInspection, ...]:
    groups: dict[str, list[TensorInspection]] = {}
    for tensor in inspection.tensors:
        groups.setdefault(key(tensor), []).append(tensor)
    return tuple(together(name, tensors) for name, tensors in groups.items())
