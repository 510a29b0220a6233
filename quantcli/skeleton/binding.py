"""Which checkpoint tensors make which parameter, by transformers' own conversion tables.

A parameter comes from one tensor under another name, or from a conversion: transformers merges,
splits and transposes tensors while it loads them. The tables and the operations are its own
(`transformers.conversion_mapping`, `transformers.core_model_loading`); they also run on meta
tensors, which is how shapes are known without reading a weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError
from quantcli.text import some

if TYPE_CHECKING:
    import torch

    from quantcli.checkpoint import TensorRecord
    from quantcli.skeleton.build import Skeleton


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The checkpoint tensors that make one parameter, and how.

    `conversion` names transformers' operations, or is None where the one source is the parameter
    under another name. `convert` runs them: it takes a function that gives a source tensor and
    returns the parameter.
    """

    name: str
    sources: tuple[str, ...]
    shape: tuple[int, ...]
    conversion: str | None = None
    convert: Callable[[Callable[[str], torch.Tensor]], torch.Tensor] | None = None


@dataclass(slots=True)
class _Group:
    """The sources that one conversion takes together, by the pattern that caught them."""

    first_target: str
    converter: Any
    collected: dict[str, list[str]] = field(default_factory=dict)

    def sources(self) -> tuple[str, ...]:
        return tuple(name for names in self.collected.values() for name in names)

    def run(self, read: Callable[[str], torch.Tensor], model: Any) -> dict[str, torch.Tensor]:
        converter = deepcopy(self.converter)
        for pattern, names in self.collected.items():
            for name in names:
                converter.add_tensor(self.first_target, name, pattern, lambda n=name: read(n))
        converted = converter.convert(self.first_target, model=model, config=model.config)
        return {
            name: value[0] if isinstance(value, list) else value
            for name, value in converted.items()
        }


def bind(
    skeleton: Skeleton, records: Mapping[str, TensorRecord]
) -> tuple[dict[str, Binding], list[str]]:
    """Bind every parameter that the checkpoint holds to its source tensors.

    Returns the bindings by parameter name, and the checkpoint tensors that no parameter takes.
    Raises `ModelError` where a conversion fails on the shapes that the checkpoint holds.
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
    """Sort checkpoint names into the groups that transformers' loader makes of them."""
    from transformers import core_model_loading as loading
    from transformers.conversion_mapping import get_model_conversion_mapping

    model = skeleton.model
    mapping = get_model_conversion_mapping(model)
    renamings = [entry for entry in mapping if isinstance(entry, loading.WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, loading.WeightConverter)]
    by_pattern = {pattern: entry for entry in converters for pattern in entry.source_patterns}
    state = model.state_dict()
    prefix = model.base_model_prefix
    groups: dict[str, _Group] = {}
    unexpected = []
    for name in sorted(names, key=loading.dot_natural_key):
        target, pattern = loading.rename_source_key(name, renamings, converters, prefix, state)
        if target not in state and name in state:
            target, pattern = loading.rename_source_key(name, [], [], prefix, state)
        if target not in state:
            unexpected.append(name)
            continue
        converter = by_pattern[pattern] if pattern is not None else None
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

    label = " + ".join(type(operation).__name__ for operation in group.converter.operations)
    try:
        results = group.run(read, skeleton.model)
    except (ValueError, RuntimeError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise ModelError(
            f"cannot make {group.first_target} ({label}) from {some(group.sources(), 1)}: {error}"
        ) from error
    return {
        target: Binding(
            name=target,
            sources=group.sources(),
            shape=tuple(result.shape),
            conversion=label,
            convert=_converter(skeleton, group, target),
        )
        for target, result in results.items()
        if target in skeleton.entries
    }


def _converter(
    skeleton: Skeleton, group: _Group, target: str
) -> Callable[[Callable[[str], torch.Tensor]], torch.Tensor]:
    return lambda read: group.run(read, skeleton.model)[target]
