"""Prepare a model for frozen weights: its quantized modules and its ties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError
from quantcli.upstream.transformers import tied_weights

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from quantcli.loading.naming import Naming


def place_modules(
    model: nn.Module, modules: Mapping[str, Mapping[str, Any]], naming: Naming
) -> dict[str, dict[str, Any]]:
    """Replace the modules that were quantized; return them under the model's names.

    Raises `ModelError` where the model's module is not of a kind that is quantized.
    """
    from quantcli.kinds.registry import freeze

    placed: dict[str, dict[str, Any]] = {}
    for stored, spec in modules.items():
        weight = naming.find(f"{stored}.weight")
        if weight is None:
            if naming.same_class:
                raise ModelError(
                    f"cannot load as {type(model).__name__}: it has no module {stored}"
                )
            continue
        name = weight.removesuffix(".weight")
        module = model.get_submodule(name)
        try:
            frozen = freeze(module, str(spec["weights"]), spec.get("group_size"))
        except (TypeError, KeyError) as error:
            raise ModelError(f"{name} cannot be loaded as {spec['weights']}: {error}") from error
        frozen.name = name
        model.set_submodule(name, frozen)
        placed[name] = dict(spec)
    return placed


def tie_as_stored(model: PreTrainedModel, untied: Iterable[str], modules: Iterable[str]) -> None:
    """Tie the model's parameters as they are stored, whatever its config says.

    What is stored apart, and what is quantized, is not tied. A parameter that is one object under
    two names is stored once, so it is.
    """
    ties = tied_weights(model)
    for name in [*untied, *(f"{module}.weight" for module in modules)]:
        ties.pop(name, None)
    first: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owner = first.setdefault(id(parameter), name)
        if owner != name:
            ties.setdefault(name, owner)
