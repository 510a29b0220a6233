"""A model that is inspected: what it stores for each tensor, and who reads the values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from quantcli.dtypes import SIZES, is_float
from quantcli.inspection.records import TensorInspection
from quantcli.planning import Plan, Source, TensorPlan
from quantcli.text import plural, some

if TYPE_CHECKING:
    from quantcli.dequantization.entries import FrozenEntry
    from quantcli.dequantization.reader import FrozenReader
    from quantcli.inspection.values import Values


class Part(ABC):
    """A model, or the component of a pipeline that `name` names."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def tensors(self) -> list[TensorInspection]:
        """Return what it stores, without the component's name, and without shares."""

    @abstractmethod
    def values(self) -> AbstractContextManager[Values]:
        """Return what reads its values, to be closed."""

    def full(self, name: str) -> str:
        """Return the name of a tensor or a module in the pipeline."""
        return ".".join(filter(None, (self.name, name)))

    def own(self, full: str) -> str:
        """Return the name of a tensor of the pipeline in this part."""
        return full.removeprefix(f"{self.name}.") if self.name else full


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A model in parts: one, or one for each component of a pipeline that has weights.

    The other fields are those of an `Inspection`.
    """

    model: str
    revision: str | None
    architecture: str
    frozen: bool
    weights: str | None = None
    parts: tuple[Part, ...]
    origin: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def tensors(self) -> tuple[TensorInspection, ...]:
        """Return all tensors under their full names, each with its share of the bytes."""
        found = [*self._tensors()]
        whole = sum(tensor.bytes for tensor in found) or 1
        return tuple(replace(tensor, share=tensor.bytes / whole) for tensor in found)

    def part_of(self, full: str) -> Part:
        """Return the part that has a tensor of this full name."""
        return next(p for p in self.parts if not p.name or full.startswith(f"{p.name}."))

    def _tensors(self) -> Iterator[TensorInspection]:
        for part in self.parts:
            for tensor in part.tensors():
                yield replace(tensor, name=part.full(tensor.name), module=part.full(tensor.module))


class PlainPart(Part):
    """A model that is not quantized: a checkpoint, and the plan that names its parameters."""

    def __init__(self, plan: Plan, source: Source, name: str = "") -> None:
        super().__init__(name)
        self._source = source
        self._planned = {tensor.name: tensor for tensor in plan.tensors}
        self._users = Counter[str]()
        for tensor in plan.tensors:
            for source_name in tensor.sources:
                self._users[source_name] += tensor.numel

    def tensors(self) -> list[TensorInspection]:
        """Return the parameters and the buffers, in the dtypes of the checkpoint."""
        return [self._tensor(tensor) for tensor in self._planned.values()]

    def values(self) -> AbstractContextManager[Values]:
        """Return what reads the checkpoint, which must be on this machine."""
        from quantcli.inspection.values import PlainValues

        return PlainValues(self._source, self._planned)

    @property
    def left_out(self) -> Iterator[str]:
        """Yield a notice if the model does not load all of its checkpoint."""
        skeleton = self._source.skeleton
        names = [n for n in self._source.unexpected if not skeleton.expected_elsewhere(n)]
        if names:
            count = plural(len(names), "tensor")
            yield f"not part of {skeleton.architecture}: {count} ({some(names)})"

    def _tensor(self, planned: TensorPlan) -> TensorInspection:
        nbytes = self._bytes(planned)
        dtype = self._dtype(planned)
        other = planned.action in ("alias", "compute")
        return TensorInspection(
            name=planned.name,
            module=planned.module,
            kind=planned.kind,
            action=planned.action if other else "keep",
            dtype=dtype,
            shape=planned.shape,
            bytes=nbytes,
            original_bytes=nbytes,
            original_dtype=dtype,
            reason=planned.reason if other else "",
        )

    def _dtype(self, planned: TensorPlan) -> str:
        records = self._source.checkpoint.tensors
        return records[planned.sources[0]].dtype if planned.sources else planned.dtype

    def _bytes(self, planned: TensorPlan) -> int:
        """Return the bytes in the checkpoint; tensors that are cut from one share its bytes."""
        records = self._source.checkpoint.tensors
        if len(planned.sources) != 1:
            return sum(records[name].nbytes for name in planned.sources)
        (name,) = planned.sources
        return records[name].nbytes * planned.numel // max(1, self._users[name])


class FrozenPart(Part):
    """A frozen directory: what its manifest says, checked against the headers of its files."""

    def __init__(self, reader: FrozenReader, name: str = "") -> None:
        super().__init__(name)
        self._reader = reader
        dtypes = reader.manifest["footprint"]["original"]["dtypes"]
        self._dtypes = [dtype for dtype in dtypes if is_float(dtype)]

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The manifest of the directory."""
        return self._reader.manifest

    def tensors(self) -> list[TensorInspection]:
        """Return the entries of the manifest."""
        return [self._tensor(entry) for entry in self._reader.entries.values()]

    def values(self) -> AbstractContextManager[Values]:
        """Return what dequantizes the entries."""
        from quantcli.inspection.frozen_values import FrozenValues

        return FrozenValues(self._reader)

    def _tensor(self, entry: FrozenEntry) -> TensorInspection:
        dtype = self._original_dtype(entry)
        stored = entry.numel if entry.is_stored else 0
        return TensorInspection(
            name=entry.name,
            module=entry.name.rpartition(".")[0],
            action=entry.action,
            dtype=entry.dtype,
            qtype=entry.qtype,
            group_size=entry.group_size,
            shape=entry.shape,
            bytes=entry.nbytes,
            original_bytes=None if dtype is None else stored * SIZES[dtype],
            original_dtype=dtype,
            reason=entry.reason,
        )

    def _original_dtype(self, entry: FrozenEntry) -> str | None:
        """Return the dtype of the original; None if it had several, and the manifest has totals."""
        if not is_float(entry.dtype):
            return entry.dtype
        return self._dtypes[0] if len(self._dtypes) == 1 else None
