"""The names and shapes of the original checkpoint, where a manifest does not say them.

transformers' own reverse conversion gives them, as it does for `save_pretrained`. That restores no
names that transformers calls legacy, and no prefix that a checkpoint had and its class has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quantcli.checkpoint import TensorRecord
from quantcli.dequantization.entries import FrozenEntry, Shapes
from quantcli.dtypes import dtype_name
from quantcli.errors import ModelError
from quantcli.skeleton import Binding, Skeleton, bind
from quantcli.upstream.transformers_conversions import in_loading_order, revert

if TYPE_CHECKING:
    import torch


def with_sources(entries: Mapping[str, FrozenEntry], skeleton: Skeleton) -> dict[str, FrozenEntry]:
    """Return the entries with their sources, as transformers would name and shape them.

    Only entries of the skeleton's own class are converted; those of other classes keep their names.
    Raises `ModelError` if transformers cannot revert what it did.
    """
    unknown = {name: e for name, e in entries.items() if e.is_stored and e.sources is None}
    own = {name: entry for name, entry in unknown.items() if name in skeleton.entries}
    records = _records(_reverted(skeleton, _empty(own)))
    bindings, _ = bind(skeleton, records)
    found = dict(entries)
    for name, entry in unknown.items():
        binding = bindings.get(name)
        if name not in own:
            found[name] = replace(entry, sources={name: entry.shape})
        elif binding is None or binding.shape != entry.shape:
            raise ModelError(f"transformers cannot restore the tensors that {name} was made from")
        else:
            sources = {source: records[source].shape for source in binding.sources}
            conversion = None if binding.end_to_end else binding.conversion
            found[name] = replace(entry, sources=sources, conversion=conversion)
    return found


def original_of(
    skeleton: Skeleton, tensors: Mapping[str, torch.Tensor], shapes: Shapes
) -> dict[str, torch.Tensor]:
    """Return the tensors of the original, of these names and shapes, that make some parameters.

    transformers reverts its conversion; that it then makes the same parameters again is checked.
    Raises `ModelError` if it does not.
    """
    import torch

    made = _reverted(skeleton, tensors)
    # legacy names and prefixes differ, and leave the order as it is
    pairs = [*zip(in_loading_order(shapes), in_loading_order(made), strict=False)]
    found = {name: made[other].contiguous() for name, other in pairs}
    right = len(made) == len(shapes) and all(
        tensor.shape == shapes[name] for name, tensor in found.items()
    )
    if right:
        bindings, _ = bind(skeleton, _records(found))
        right = all(
            name in bindings and torch.equal(_made(bindings[name], found), tensor)
            for name, tensor in tensors.items()
        )
    if not right:
        raise ModelError(
            f"transformers cannot restore the tensors that {next(iter(tensors))} was made from"
        )
    return found


def _made(binding: Binding, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the parameter that transformers makes of tensors of a checkpoint."""
    if binding.convert is None:
        return tensors[binding.sources[0]]
    return binding.convert(lambda name: tensors[name])


def _records(tensors: Mapping[str, torch.Tensor]) -> dict[str, TensorRecord]:
    """Return records of tensors that have no place in a file."""
    return {
        name: TensorRecord(
            name=name,
            file="",
            dtype=dtype_name(tensor.dtype),
            shape=tuple(tensor.shape),
            offset=0,
            nbytes=tensor.nbytes,
        )
        for name, tensor in tensors.items()
    }


def _empty(entries: Mapping[str, FrozenEntry]) -> dict[str, torch.Tensor]:
    import torch

    return {
        name: torch.empty(entry.shape, dtype=getattr(torch, entry.dtype), device="meta")
        for name, entry in entries.items()
    }


def _reverted(skeleton: Skeleton, tensors: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    try:
        return revert(skeleton.model, tensors)
    except (ValueError, RuntimeError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise ModelError(
            f"transformers cannot revert its conversion of {next(iter(tensors))}: {error}"
        ) from error
