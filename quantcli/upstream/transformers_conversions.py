"""Private names of transformers: how the weights of a checkpoint become those of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

from quantcli.upstream.names import relies_on

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_LOADING = "transformers.core_model_loading"
_MAPPING = "transformers.conversion_mapping.get_model_conversion_mapping"


class Conversions(NamedTuple):
    """What transformers does to the weights of a checkpoint while it loads them.

    Every renaming applies to a name, then at most one converter takes it: that merges, splits or
    transposes tensors. `by_pattern` finds the converter by its pattern.
    """

    renamings: list[Any]
    converters: list[Any]
    by_pattern: dict[str, Any]


@relies_on(
    _MAPPING,
    f"{_LOADING}.WeightRenaming",
    f"{_LOADING}.WeightConverter.source_patterns",
    to="find the names of weights",
)
def conversions_of(model: PreTrainedModel) -> Conversions:
    """Return the conversions for checkpoints of this model."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming

    found = get_model_conversion_mapping(model)
    converters = [entry for entry in found if isinstance(entry, WeightConverter)]
    return Conversions(
        renamings=[entry for entry in found if isinstance(entry, WeightRenaming)],
        converters=converters,
        by_pattern={pattern: entry for entry in converters for pattern in entry.source_patterns},
    )


@relies_on(_MAPPING, f"{_LOADING}.PrefixChange", to="find the names of weights")
def prefix_changes(model: PreTrainedModel) -> list[Any]:
    """Return the renamings that a class declares to load the checkpoint of another class."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import PrefixChange

    found = get_model_conversion_mapping(model, add_legacy=False)
    return [entry for entry in found if isinstance(entry, PrefixChange)]


@relies_on(f"{_LOADING}.rename_source_key", to="find the names of weights")
def rename(
    name: str, renamings: list[Any], converters: list[Any], prefix: str, known: dict[str, Any]
) -> tuple[str, str | None]:
    """Return the model's name of a weight, and the pattern of the converter that takes it.

    `prefix` is that of the base model: it is added or removed where a name is then `known`.
    """
    from transformers.core_model_loading import rename_source_key

    return rename_source_key(name, renamings, converters, prefix, known)


@relies_on(f"{_LOADING}.dot_natural_key", to="find the names of weights")
def in_loading_order(names: Iterable[str]) -> list[str]:
    """Return names in the order in which transformers loads them: layer 2 before layer 10."""
    from transformers.core_model_loading import dot_natural_key

    return sorted(names, key=dot_natural_key)


@relies_on(
    f"{_LOADING}.WeightConverter.add_tensor",
    f"{_LOADING}.WeightConverter.convert",
    to="convert weights",
)
def convert(
    converter: Any,
    target: str,
    weights: Mapping[str, Iterable[str]],
    read: Callable[[str], torch.Tensor],
    model: PreTrainedModel,
) -> dict[str, torch.Tensor]:
    """Run a converter and return the parameters that it makes, by name; `target` is the first.

    `weights` holds the names in the checkpoint by the pattern that takes them. Lets through what
    the operations raise for weights that do not fit.
    """
    fresh = deepcopy(converter)  # it collects the tensors
    for pattern, names in weights.items():
        for name in names:
            fresh.add_tensor(target, name, pattern, lambda name=name: read(name))
    made = fresh.convert(target, model=model, config=model.config)
    return {name: value[0] if isinstance(value, list) else value for name, value in made.items()}


@relies_on(f"{_LOADING}.WeightConverter.operations", to="describe a plan")
def operations_of(converter: Any) -> list[str]:
    """Return the names of a converter's operations, in order."""
    return [type(operation).__name__ for operation in converter.operations]


@relies_on(
    f"{_LOADING}.MergeModulelist",
    f"{_LOADING}.Concatenate",
    f"{_LOADING}.WeightConverter.operations",
    f"{_LOADING}.WeightConverter.source_patterns",
    to="merge weights",
)
def laid_end_to_end(converter: Any, weights: Mapping[str, list[str]]) -> tuple[str, ...] | None:
    """Return the weights whose values, one after the other, are the parameter that is made.

    None if a converter does more than that. It stacks the experts of a layer, and may put two
    matrices of each expert one above the other.
    """
    from transformers.core_model_loading import Concatenate, MergeModulelist

    steps = [(type(step), getattr(step, "dim", None)) for step in converter.operations]
    lists = [weights[pattern] for pattern in converter.source_patterns if pattern in weights]
    if steps == [(MergeModulelist, 0)] and len(lists) == 1:
        return tuple(lists[0])
    if steps == [(Concatenate, 0)] and all(len(names) == 1 for names in lists):
        return tuple(names[0] for names in lists)
    equal = len({len(names) for names in lists}) == 1
    if steps == [(MergeModulelist, 0), (Concatenate, 1)] and equal:
        return tuple(name for names in zip(*lists, strict=True) for name in names)
    return None


@relies_on(f"{_LOADING}.revert_weight_conversion", to="restore the names of weights")
def revert(model: PreTrainedModel, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors that `save_pretrained` would store for these parameters of a model.

    Lets through what the operations raise for tensors that do not fit.
    """
    from transformers.core_model_loading import revert_weight_conversion

    found: dict[str, torch.Tensor] = revert_weight_conversion(model, dict(tensors))
    return found
