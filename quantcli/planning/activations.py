"""Which modules quantize their activations, where a recipe asks for that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from quantcli.errors import UsageError
from quantcli.formats import format_named
from quantcli.kinds.layout import activation_scales
from quantcli.planning.plan import TensorPlan
from quantcli.skeleton import held_elsewhere
from quantcli.text import plural, some

if TYPE_CHECKING:
    from quantcli.planning.source import Source
    from quantcli.recipe import Recipe
    from quantcli.skeleton import Skeleton


def with_activations(
    tensors: list[TensorPlan], source: Source, recipe: Recipe
) -> tuple[list[TensorPlan], list[str]]:
    """Return the tensors with the scales of quantized activations, and notices for the user.

    Those are the modules that Quanto quantizes the activations of: quantized ones that compute by
    its protocol, and layer norms. Raises `UsageError` if there are none of the former.
    """
    qtype = format_named(recipe.activations).qtype
    every = layer_norms(source.skeleton)
    norms = {name for name in every if recipe.choose(name).weights is not None}
    quantized = {tensor.module for tensor in tensors if _computes(tensor)}
    if not quantized:
        raise UsageError(
            f"{source.skeleton.architecture} has no quantized module whose activations Quanto "
            "quantizes",
            hint="leave out --activations",
        )
    found = []
    for tensor in tensors:
        if _computes(tensor):
            found.append(replace(tensor, activations=qtype))
        elif _is_norm(tensor, norms):
            found.append(_with_scales(tensor, qtype))
        else:
            found.append(tensor)
    return found, _notices(tensors)


def layer_norms(skeleton: Skeleton) -> Iterator[str]:
    """Yield the names of the layer norms whose output can be quantized."""
    from quantcli.kinds.layer_norm import LAYER_NORM

    held = held_elsewhere(skeleton.model)
    names: dict[int, list[str]] = {}
    for name, module in skeleton.model.named_modules(remove_duplicate=False):
        names.setdefault(id(module), []).append(name)
    for name, module in skeleton.model.named_modules():
        alone = name and len(names[id(module)]) == 1 and id(module) not in held
        if alone and LAYER_NORM.quantizes(module):
            yield name


def _computes(tensor: TensorPlan) -> bool:
    """Return whether an entry is the weight of a module that can quantize its activations."""
    own = tensor.action == "quantize" and tensor.extra_for is None
    return own and tensor.frozen_as != "parameter"


def _is_norm(tensor: TensorPlan, norms: Iterable[str]) -> bool:
    own = tensor.action in ("keep", "cast") and tensor.extra_for is None
    return own and tensor.module in norms and tensor.name == f"{tensor.module}.weight"


def _with_scales(tensor: TensorPlan, qtype: str | None) -> TensorPlan:
    scales = activation_scales(tensor.module, tensor.dtype)
    return replace(tensor, activations=qtype, stored=(*tensor.stored, *scales))


def _notices(tensors: Iterable[TensorPlan]) -> list[str]:
    """Return what is said of quantized modules whose activations stay as they are."""
    own = [tensor.module for tensor in tensors if tensor.frozen_as == "parameter"]
    modules = list(dict.fromkeys(own))
    if not modules:
        return []
    count = plural(len(modules), "module")
    why = "the code of these computes with dequantized weights"
    return [f"the activations of {count} are not quantized: {why} ({some(modules)})"]
