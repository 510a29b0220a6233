"""What a frozen directory stores for each tensor of its model, checked against its files."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from quantcli.dequantization.listed import HINT, Listed
from quantcli.dtypes import SIZES
from quantcli.errors import ModelError
from quantcli.formats import WeightFormat, format_of
from quantcli.kinds.layout import ACTIVATION_SCALES, Rows, stored_parts

if TYPE_CHECKING:
    import torch

    from quantcli.checkpoint import TensorRecord

Shapes = Mapping[str, tuple[int, ...]]
"""Names of tensors -> their shapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenEntry:
    """One entry of the model's state dict, as a frozen directory stores it.

    `action`, `reason`, `qtype`, `group_size`, `dtype` and `shape` are those of its plan (see
    `planning.TensorPlan`). `rows` is the view in which it was quantized; an entry that is not
    quantized is seen in its own shape. `adapted` means that the module keeps its class, and sees
    the parameter dequantized. `parts` are the stored tensors, by what follows the entry's name in
    the files: "_data", "_scale", ...; "" if it is not quantized; none for an alias and for what
    transformers computes. `scales` are the activation scales of its module.

    `sources` are the tensors of the original that it was made from, with their shapes: laid end to
    end they are the entry, unless a `conversion` of transformers made it. None means that it is not
    known, because an older quantcli wrote the directory.
    """

    name: str
    action: str
    reason: str
    qtype: str | None
    group_size: int | None
    dtype: str
    shape: tuple[int, ...]
    rows: Rows
    adapted: bool
    parts: Mapping[str, TensorRecord]
    scales: tuple[TensorRecord, ...] = ()
    alias_of: str | None = None
    sources: Shapes | None = None
    conversion: str | None = None

    @property
    def weight_format(self) -> WeightFormat | None:
        """The format of a quantized entry; None for any other."""
        return None if self.qtype is None else format_of(self.qtype)

    @property
    def is_stored(self) -> bool:
        """Whether it is stored under its own name."""
        return bool(self.parts)

    @property
    def nbytes(self) -> int:
        """Bytes that are stored for it, activation scales included."""
        return sum(part.nbytes for part in (*self.parts.values(), *self.scales))

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def count(self) -> int:
        """Number of rows in the view in which it was quantized; 1 for a scalar."""
        return self.rows.shape[0] if self.rows.shape else 1

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row in that view."""
        return self.rows.shape[1:]

    @property
    def columns(self) -> int:
        """Number of elements of one row."""
        return math.prod(self.row_shape)

    def restored(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values of all rows in the shape of the entry, transposed where that is."""
        shape = self.shape
        if not self.rows.transposed:
            return values.reshape(shape)
        return values.reshape(*shape[:-2], shape[-1], shape[-2]).transpose(-1, -2)


def make_entries(
    listed: Iterable[Listed],
    section: Mapping[str, Any],
    records: Mapping[str, TensorRecord],
    rows: Mapping[str, Rows],
) -> dict[str, FrozenEntry]:
    """Return the entries that a manifest lists, by name.

    `section` is the checked `quantization_config`, `records` are the tensors in the files, `rows`
    the views of entries for which the manifest has none. Raises `ModelError` unless manifest,
    section and files agree on every name, dtype and shape.
    """
    specs = _specs(section)
    scaled = {*(section.get("activations") or {}).get("modules", ())}
    left = dict(records)
    found = {}
    for each in listed:
        entry = _entry(each, specs, rows)
        found[entry.name] = _with_parts(entry, left, scaled)
    if left:
        raise ModelError(f"{next(iter(left))} is in the files, but not in the manifest", hint=HINT)
    for entry in found.values():
        if entry.alias_of is not None and not (
            entry.alias_of in found and found[entry.alias_of].is_stored
        ):
            raise ModelError(f"{entry.name} is tied to {entry.alias_of}, which is not stored")
    return found


def _specs(section: Mapping[str, Any]) -> dict[str, tuple[Mapping[str, Any], bool]]:
    """Return how each quantized entry is quantized, and whether its module keeps its class."""
    specs: dict[str, tuple[Mapping[str, Any], bool]] = {}
    for place in (section, section.get("extra", {})):
        for module, spec in place.get("modules", {}).items():
            specs[f"{module}.weight" if module else "weight"] = (spec, False)
        for name, spec in place.get("parameters", {}).items():
            specs[name] = (spec, True)
    return specs


def _entry(
    each: Listed,
    specs: Mapping[str, tuple[Mapping[str, Any], bool]],
    rows: Mapping[str, Rows],
) -> FrozenEntry:
    shape, sources = tuple(each.shape), each.sources
    spec, adapted = specs.get(each.name, (None, False))
    own = None if each.qtype is None else {"weights": each.qtype, "group_size": each.group_size}
    if spec != own:
        raise ModelError(f"{each.name}: manifest and config.json differ", hint=HINT)
    view = _view(each, rows) if own is not None else Rows(shape=shape)
    if not _fits(view, shape):
        raise ModelError(f"{each.name} {list(shape)} was not {list(view.shape)}", hint=HINT)
    return FrozenEntry(
        name=each.name,
        action=each.action,
        reason=each.reason,
        qtype=each.qtype,
        group_size=each.group_size,
        dtype=each.dtype,
        shape=shape,
        rows=view,
        adapted=adapted,
        parts={},
        alias_of=each.owner,
        sources=None if sources is None else _sources(each, sources),
        conversion=each.conversion,
    )


def _view(each: Listed, rows: Mapping[str, Rows]) -> Rows:
    if each.quantized_shape is not None:
        return Rows(shape=tuple(each.quantized_shape), transposed=each.transposed)
    if each.name not in rows:
        raise ModelError(f"the manifest does not say how {each.name} is stored", hint=HINT)
    return rows[each.name]


def _fits(view: Rows, shape: tuple[int, ...]) -> bool:
    """Return whether a tensor of this shape can be seen so."""
    if not view.transposed:
        return math.prod(view.shape) == math.prod(shape)
    return len(shape) >= 2 and view.shape == (math.prod(shape[:-2]) * shape[-1], shape[-2])


def _sources(each: Listed, sources: Mapping[str, list[int]]) -> Shapes:
    return {name: tuple(shape) for name, shape in sources.items()} or {each.name: tuple(each.shape)}


def _with_parts(
    entry: FrozenEntry, left: dict[str, TensorRecord], scaled: Collection[str]
) -> FrozenEntry:
    """Return an entry with its stored tensors, which are taken from those that are `left`.

    `scaled` are the modules whose activations have scales.
    """
    if entry.action in ("alias", "compute"):
        return entry
    name, weight_format = entry.name, entry.weight_format
    if weight_format is None:
        kept = replace(entry, parts={"": _take(left, name, entry.dtype, entry.shape)})
        module, _, leaf = name.rpartition(".")
        return _with_scales(kept, left) if leaf == "weight" and module in scaled else kept
    stored = stored_parts(name, entry.rows.shape, entry.dtype, weight_format, entry.group_size)
    parts = {
        part.name.removeprefix(f"{name}."): _take(left, part.name, part.dtype, part.shape)
        for part in stored
    }
    stored_entry = replace(entry, parts=parts)
    return stored_entry if entry.adapted else _with_scales(stored_entry, left)


def _with_scales(entry: FrozenEntry, left: dict[str, TensorRecord]) -> FrozenEntry:
    """Return the weight of a module with its activation scales."""
    module = entry.name.removesuffix("weight")
    scales = tuple(_take(left, f"{module}{name}", entry.dtype, ()) for name in ACTIVATION_SCALES)
    return replace(entry, scales=scales)


def _take(
    left: dict[str, TensorRecord], name: str, dtype: str, shape: tuple[int, ...]
) -> TensorRecord:
    record = left.pop(name, None)
    if record is None:
        raise ModelError(f"{name} is missing in the files", hint=HINT)
    if (record.dtype, record.shape) != (dtype, shape):
        raise ModelError(
            f"{name} is stored as {record.dtype} {list(record.shape)}, not {dtype} {list(shape)}",
            hint=HINT,
        )
    assert record.nbytes == math.prod(shape) * SIZES[dtype], name
    return record
