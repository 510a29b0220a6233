"""What a dequantized checkpoint holds: the tensors of the original, and what each is made from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from quantcli.dequantization.entries import FrozenEntry, Shapes
from quantcli.dequantization.listed import HINT
from quantcli.dtypes import SIZES, is_float
from quantcli.errors import ModelError
from quantcli.kinds.layout import Stored
from quantcli.planning.shards import shard_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One tensor of the result: the elements of an entry from `start` on, cast to its dtype."""

    stored: Stored
    entry: FrozenEntry
    start: int

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.stored.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """Tensors of the result that transformers makes together from some entries, in memory."""

    stored: tuple[Stored, ...]
    entries: tuple[FrozenEntry, ...]


Made = Output | Converted


def stored_in(made: Made) -> tuple[Stored, ...]:
    """Return the tensors that are made."""
    return made.stored if isinstance(made, Converted) else (made.stored,)


def nbytes_of(made: Made) -> int:
    """Return the bytes of the tensors that are made."""
    return sum(stored.nbytes for stored in stored_in(made))


def make_outputs(
    entries: Mapping[str, FrozenEntry], *, model_dtype: str, dtype: str | None
) -> list[Made]:
    """Return everything that is stored, in the order of the entries.

    `dtype` is the one to cast to; entries that are not in the `model_dtype` keep theirs, as
    transformers keeps them. The sources of all entries must be known. Raises `ModelError` if a name
    would be written twice.
    """
    found: list[Made] = []
    for group in _groups(entry for entry in entries.values() if entry.is_stored):
        target = {entry.name: _cast(entry.dtype, model_dtype, dtype) for entry in group}
        if len(group) > 1 or group[0].conversion is not None:
            found.append(_converted(group, target[group[0].name]))
        else:
            found += _pieces(group[0], target[group[0].name])
    names = [stored.name for made in found for stored in stored_in(made)]
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ModelError(f"the manifest names {twice} as the source of two tensors", hint=HINT)
    return found


def _cast(own: str, model_dtype: str, dtype: str | None) -> str:
    return dtype if dtype is not None and own == model_dtype and is_float(own) else own


def _sources(entry: FrozenEntry) -> Shapes:
    assert entry.sources is not None, entry.name
    return entry.sources


def _groups(entries: Iterable[FrozenEntry]) -> Iterator[list[FrozenEntry]]:
    """Yield the entries that are made from the same sources together, all others alone."""
    groups: dict[str, list[FrozenEntry]] = {}
    for entry in entries:
        first = min(_sources(entry)) if entry.conversion is not None else None
        groups.setdefault(f"entry {entry.name}" if first is None else first, []).append(entry)
    yield from groups.values()


def _converted(group: list[FrozenEntry], dtype: str) -> Converted:
    sources: dict[str, tuple[int, ...]] = {}
    for entry in group:
        sources |= _sources(entry)
    stored = [Stored(name=name, dtype=dtype, shape=shape) for name, shape in sources.items()]
    return Converted(stored=tuple(stored), entries=tuple(group))


def _pieces(entry: FrozenEntry, dtype: str) -> Iterator[Output]:
    sources = _sources(entry)
    if sum(math.prod(shape) for shape in sources.values()) != entry.numel:
        raise ModelError(f"the sources of {entry.name} have other sizes than it", hint=HINT)
    start = 0
    for name, shape in sources.items():
        yield Output(stored=Stored(name=name, dtype=dtype, shape=shape), entry=entry, start=start)
        start += math.prod(shape)


@dataclass(frozen=True, kw_only=True)
class Sharded:
    """What is made, by output file; `shards` are the names of the files."""

    shards: tuple[str, ...]
    made: tuple[tuple[Made, ...], ...]

    @property
    def stored(self) -> dict[str, str]:
        """Every tensor, by name -> the file that it is in."""
        return {
            stored.name: shard
            for shard, group in zip(self.shards, self.made, strict=True)
            for made in group
            for stored in stored_in(made)
        }

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(nbytes_of(made) for group in self.made for made in group)

    @property
    def numel(self) -> int:
        """Elements of all tensors."""
        all_made = (made for group in self.made for made in group)
        return sum(s.nbytes // SIZES[s.dtype] for made in all_made for s in stored_in(made))


def share_out(outputs: Iterable[Made], max_shard_size: int) -> Sharded:
    """Fill shards in order; what is made together goes to one shard.

    `max_shard_size` is in bytes of payload; a larger tensor gets a shard of its own.
    """
    groups: list[list[Made]] = [[]]
    filled = 0
    for made in outputs:
        if filled and filled + nbytes_of(made) > max_shard_size:
            groups.append([])
            filled = 0
        groups[-1].append(made)
        filled += nbytes_of(made)
    return Sharded(shards=shard_names(len(groups)), made=tuple(map(tuple, groups)))
