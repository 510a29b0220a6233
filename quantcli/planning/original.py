"""The original model's size: bytes of its tensors by dtype, and its parameters."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from quantcli.errors import ModelError
from quantcli.planning.source import Source
from quantcli.skeleton import Binding, Entry
from quantcli.text import plural, some


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalSize:
    """What a model takes in its checkpoint.

    `dtypes` maps a dtype to the bytes of the tensors that the model uses, tied ones once, largest
    first. `parameters` is their number in the model's class, tied ones once.
    """

    dtypes: Mapping[str, int]
    parameters: int

    @property
    def nbytes(self) -> int:
        """Bytes of the model's tensors."""
        return sum(self.dtypes.values())


def measure_original(source: Source) -> OriginalSize:
    """Count the bytes and the parameters that a model takes from its checkpoint.

    Raises `ModelError` if the checkpoint lacks a tensor of the model, or has one of another shape.
    """
    _check_tensors(source)
    own = list(_stored_entries(source))
    bindings = [binding for _, binding in own]
    for extra in source.extras:
        found = (extra.source.binding(name) for name in extra.names)
        bindings += [binding for binding in found if binding is not None]
    return OriginalSize(
        dtypes=_bytes_by_dtype(source, bindings),
        parameters=sum(math.prod(entry.shape) for entry, _ in own if entry.is_parameter),
    )


def _check_tensors(source: Source) -> None:
    missing, misshapen = [], []
    for name, entry in source.skeleton.entries.items():
        binding = source.binding(name)
        if name in source.ties.aliases:
            continue
        if binding is None:
            if entry.is_parameter and not source.skeleton.computed(name):
                missing.append(name)
        elif binding.shape != entry.shape:
            misshapen.append(f"{name} is {list(binding.shape)}, not {list(entry.shape)}")
    where = f"cannot load {source.checkpoint.model} as {source.skeleton.architecture}"
    if missing:
        raise ModelError(
            f"{where}: {plural(len(missing), 'tensor')} missing ({some(missing)})",
            hint="config.json must name the class that was saved; --class chooses another",
        )
    if misshapen:
        raise ModelError(
            f"{where}: {plural(len(misshapen), 'tensor')} of another shape ({some(misshapen)})",
            hint="config.json and the weights are not from the same model",
        )


def _stored_entries(source: Source) -> Iterator[tuple[Entry, Binding]]:
    """Yield each entry of the model that the checkpoint holds, tied ones once."""
    for name, entry in source.skeleton.entries.items():
        binding = source.binding(name)
        if name not in source.ties.aliases and binding is not None:
            yield entry, binding


def _bytes_by_dtype(source: Source, bindings: list[Binding]) -> dict[str, int]:
    sizes: Counter[str] = Counter()
    for name in dict.fromkeys(name for binding in bindings for name in binding.sources):
        record = source.checkpoint.tensors[name]
        sizes[record.dtype] += record.nbytes
    return dict(sizes.most_common())
