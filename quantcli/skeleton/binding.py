"""Which checkpoint tensors make which parameter, by transformers' own conversion tables.

A parameter comes from one tensor under another name, or from a conversion: transformers merges,
splits and transposes tensors while it loads them. The tables and the operations are transformers';
they also run on meta tensors, so shapes are known without reading a weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError
from quantcli.text import some
from quantcli.upstream.transformers import base_prefix
from quantcli.upstream.transformers_conversions import (
    conversions_of,
    convert,
    in_loading_order,
    laid_end_to_end,
    operations_of,
    rename,
)

if TYPE_CHECKING:
    import torch

    from quantcli.checkpoint import TensorRecord
    from quantcli.skeleton.build import Skeleton


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The checkpoint tensors that make one parameter, and how.

    `conversion` names transformers' operations, or is None if the one source is the parameter under
    another name. `convert` runs them: it takes a function that reads a source tensor, and returns
    the parameter. `end_to_end` means that it does no more than lay the sources one after the other.
    """

    name: str
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    conversion: str | None = None
    end_to_end: bool = False
    convert: Callable[[Callable[[str], torch.Tensor]], torch.Tensor] | None = None


@dataclass(slots=True)
class _Group:
    """The sources that one conversion takes together, by the pattern that matched them."""

    first_target: str
    converter: Any
    collected: dict[str, list[str]] = field(default_factory=dict)

    def sources(self) -> tuple[str, ...]:
        return tuple(name for names in self.collected.values() for name in names)

    def run(self, read: Callable[[str], torch.Tensor], model: Any) -> dict[str, torch.Tensor]:
        return convert(self.converter, self.first_target, self.collected, read, model)


def bind(
    skeleton: Skeleton, records: Mapping[str, TensorRecord]
) -> tuple[dict[str, Binding], list[str]]:
    """Bind every parameter that the checkpoint holds to its source tensors.

    Returns the bindings by parameter name, and the checkpoint tensors that no parameter takes.
    Raises `ModelError` if a conversion fails on the shapes that the checkpoint holds.
    """
    groups, unexpected = _group(skeleton, records)
    bindings: dict[str, Binding] = {}
    for group in groups:
        if group.converter is None:
            source = group.sources()[0]
            shape = records[source].shape
            bindings[group.first_target] = Binding(
                name=group.first_target, sources=(source,), shape=shape
            )
        else:
            bindings.update(_convert_on_meta(skeleton, group, records))
    return bindings, unexpected


def _group(skeleton: Skeleton, names: Iterable[str]) -> tuple[list[_Group], list[str]]:
    """Group checkpoint names as transformers' loader does."""
    model = skeleton.model
    conversions = conversions_of(model)
    state = model.state_dict()
    prefix = base_prefix(model)
    groups: dict[str, _Group] = {}
    unexpected = []
    for name in in_loading_order(names):
        target, pattern = rename(name, conversions.renamings, conversions.converters, prefix, state)
        if target not in state and name in state:
            target, pattern = rename(name, [], [], prefix, state)
        if target not in state:
            unexpected.append(name)
            continue
        converter = conversions.by_pattern[pattern] if pattern is not None else None
        group = groups.setdefault(target, _Group(target, converter))
        group.collected.setdefault(pattern or name, []).append(name)
    return list(groups.values()), unexpected


def _convert_on_meta(
    skeleton: Skeleton, group: _Group, records: Mapping[str, TensorRecord]
) -> dict[str, Binding]:
    import torch

    def read(name: str) -> torch.Tensor:
        record = records[name]
        dtype = getattr(torch, skeleton.entries[group.first_target].dtype)
        return torch.empty(record.shape, dtype=dtype, device="meta")

    label = " + ".join(operations_of(group.converter))
    try:
        results = group.run(read, skeleton.model)
    except (ValueError, RuntimeError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise ModelError(
            f"cannot make {group.first_target} ({label}) from {some(group.sources(), 1)}: {error}"
        ) from error
    ordered = laid_end_to_end(group.converter, group.collected) if len(results) == 1 else None
    return {
        target: Binding(
            name=target,
            sources=ordered or group.sources(),
            shape=tuple(result.shape),
            conversion=label,
            end_to_end=ordered is not None,
            convert=_converter(skeleton, group, target),
        )
        for target, result in results.items()
        if target in skeleton.entries
    }


def _converter(
    skeleton: Skeleton, group: _Group, target: str
) -> Callable[[Callable[[str], torch.Tensor]], torch.Tensor]:
    return lambda read: group.run(read, skeleton.model)[target]
