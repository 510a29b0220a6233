"""Two models side by side: which tensor of one belongs to which of the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quantcli.errors import ModelError
from quantcli.inspection.contents import Contents, Part
from quantcli.inspection.records import TensorInspection


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A part of a model, the same part of the original, and their tensors by name."""

    result: Part
    original: Part
    tensors: Mapping[str, tuple[TensorInspection, TensorInspection]]


def pair_up(result: Contents, original: Contents) -> list[Pair]:
    """Return the parts of two models in pairs.

    Raises `ModelError` that names the first difference, if they do not have the same tensors in the
    same shapes.
    """
    others = {part.name: part for part in original.parts}
    for part in result.parts:
        if part.name not in others:
            raise _differ(result, original, f"only {result.model} has {part.name or 'one model'}")
    for name in others.keys() - {part.name for part in result.parts}:
        raise _differ(result, original, f"only {original.model} has {name or 'one model'}")
    return [_pair(part, others[part.name], result, original) for part in result.parts]


def _pair(part: Part, other: Part, result: Contents, original: Contents) -> Pair:
    found = {tensor.name: tensor for tensor in part.tensors()}
    known = {tensor.name: tensor for tensor in other.tensors()}
    for name in (*found, *known):
        full = part.full(name)
        if name not in known:
            raise _differ(result, original, f"only {result.model} has {full}")
        if name not in found:
            raise _differ(result, original, f"only {original.model} has {full}")
        shape, before = found[name].shape, known[name].shape
        if shape != before:
            text = f"{full} is {list(shape)} in {result.model}, and {list(before)}"
            raise _differ(result, original, f"{text} in {original.model}")
    pairs = {name: (found[name], known[name]) for name in found}
    return Pair(result=part, original=other, tensors=pairs)


def _differ(result: Contents, original: Contents, what: str) -> ModelError:
    return ModelError(
        f"{result.model} ({result.architecture}) and {original.model} ({original.architecture}) "
        f"are not the same model: {what}",
        hint="give --against the model that it was made from",
    )
