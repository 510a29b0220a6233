"""A checkpoint with the skeleton that its tensors fill: what a plan is made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from quantcli.dtypes import SIZES
from quantcli.planning.extras import Extra, find_extras
from quantcli.skeleton import Binding, Skeleton, Ties, bind, build, resolve_ties

if TYPE_CHECKING:
    import torch

    from quantcli.checkpoint import Checkpoint, TensorRecord

CHUNK = 1 << 20
"""Elements compared at a time if the weights are on the disk."""

SAMPLE = 1 << 12
"""Elements compared at the start, in the middle and at the end if they are not."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A checkpoint together with the skeleton that its tensors fill.

    `extras` are tensors that other classes load, `unexpected` those that none loads. `sampled` is
    true if a tie was decided from samples because the weights are not local yet.
    """

    checkpoint: Checkpoint
    skeleton: Skeleton
    bindings: Mapping[str, Binding]
    ties: Ties
    unexpected: Sequence[str]
    sampled: bool
    extras: tuple[Extra, ...] = ()

    def binding(self, name: str) -> Binding | None:
        """Return where a stored entry comes from; a tied one may be stored under its alias."""
        binding = self.bindings.get(self.ties.stored_from.get(name, name))
        return binding or self._extra_bindings.get(name)

    @cached_property
    def _extra_bindings(self) -> dict[str, Binding]:
        """The bindings of extra tensors, by the name under which they are stored."""
        found = {}
        for extra in self.extras:
            for name in extra.names:
                binding = extra.source.binding(name)
                assert binding is not None, name
                found[f"{extra.prefix}{name}"] = binding
        return found


def read_source(
    checkpoint: Checkpoint,
    *,
    rest: str = "keep",
    trust_remote_code: bool = False,
    class_name: str | None = None,
    here: bool,
) -> Source:
    """Join a checkpoint with its skeleton; `here` means that its weights are on the disk.

    `rest` is the dtype of the whole model, or "keep" for the checkpoint's own. `class_name` is the
    class to build instead of the config's; what other classes load is then left out.
    Raises `ModelError` if the model cannot be built, or its tensors cannot be converted.
    """
    skeleton = build(
        checkpoint, rest=rest, trust_remote_code=trust_remote_code, class_name=class_name
    )
    own = _join(checkpoint, skeleton, here=here)
    if class_name is not None:
        return own
    extras, unexpected = find_extras(own, lambda other: _join(checkpoint, other, here=here))
    sampled = own.sampled or any(extra.source.sampled for extra in extras)
    return replace(own, extras=extras, unexpected=unexpected, sampled=sampled)


def _join(checkpoint: Checkpoint, skeleton: Skeleton, *, here: bool) -> Source:
    bindings, unexpected = bind(skeleton, checkpoint.tensors)
    compared: list[bool] = []

    def equal(first: Binding, second: Binding) -> bool:
        compared.append(here)
        return _equal(checkpoint, skeleton.dtype, first, second, here=here)

    ties = resolve_ties(skeleton, bindings, equal)
    return Source(
        checkpoint=checkpoint,
        skeleton=skeleton,
        bindings=bindings,
        ties=ties,
        unexpected=unexpected,
        sampled=not all(compared),
    )


def _equal(
    checkpoint: Checkpoint, dtype: torch.dtype, first: Binding, second: Binding, *, here: bool
) -> bool:
    """Compare two parameters as transformers compares tied ones: loaded, element by element."""
    import torch

    if first.sources == second.sources:
        return True
    records = [checkpoint.tensors[binding.sources[0]] for binding in (first, second)]
    if any(binding.convert for binding in (first, second)) or any(r.strided for r in records):
        return not here or torch.equal(*(_whole(checkpoint, b, dtype) for b in (first, second)))
    one, other = records
    if (one.file, one.offset, one.nbytes) == (other.file, other.offset, other.nbytes):
        return True
    return one.shape == other.shape and all(
        torch.equal(
            _values(checkpoint, one, start, count).to(dtype),
            _values(checkpoint, other, start, count).to(dtype),
        )
        for start, count in _ranges(one.nbytes // SIZES[one.dtype], here=here)
    )


def _whole(checkpoint: Checkpoint, binding: Binding, dtype: torch.dtype) -> torch.Tensor:
    def read(name: str) -> torch.Tensor:
        return checkpoint.read(name).to(dtype)

    return binding.convert(read) if binding.convert else read(binding.sources[0])


def _values(checkpoint: Checkpoint, record: TensorRecord, start: int, count: int) -> torch.Tensor:
    import torch

    size = SIZES[record.dtype]
    raw = bytearray(checkpoint.sample(record.name, start * size, count * size))
    return torch.frombuffer(raw, dtype=getattr(torch, record.dtype))


def _ranges(numel: int, *, here: bool) -> Iterator[tuple[int, int]]:
    """Yield (start, count): all of a tensor, or its beginning, middle and end."""
    if here or numel <= 3 * SAMPLE:
        yield from ((start, min(CHUNK, numel - start)) for start in range(0, numel, CHUNK))
    else:
        yield from ((start, SAMPLE) for start in (0, numel // 2, numel - SAMPLE))
