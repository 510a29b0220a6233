"""What an inspection finds: plain data about every tensor, and about modules."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from quantcli.formats import format_of
from quantcli.inspection.error import TensorError, pooled
from quantcli.inspection.histogram import Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInspection:
    """One entry of a model's state dict.

    `kind` is the class of its module, "" where it is not known. `action` is that of a plan:
    "quantize", "cast", "keep", "alias" (the same tensor as another entry, stored there) or
    "compute" (not stored). `dtype` is what the model sees, `qtype` Quanto's name of what is stored
    if that is quantized. `group_size` is None for one scale a row. `bytes` is what is stored,
    `original_bytes` what the original takes, None where it is not known. `share` is that of the
    model's bytes, 0 to 1. `reason` says why it is not quantized. `error` is None if there is
    nothing to compare with.
    """

    name: str
    module: str
    kind: str = ""
    action: str = "keep"
    dtype: str
    qtype: str | None = None
    group_size: int | None = None
    shape: tuple[int, ...]
    bytes: int
    original_bytes: int | None = None
    original_dtype: str | None = None
    share: float = 0.0
    reason: str = ""
    error: TensorError | None = None

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def format(self) -> str:
        """Our name of what is stored: a weight format if it is quantized, else its dtype."""
        return self.dtype if self.qtype is None else format_of(self.qtype).name

    @property
    def is_stored(self) -> bool:
        """Whether it has values of its own: it is no alias, and not computed."""
        return self.action not in ("alias", "compute")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleInspection:
    """Several tensors taken together: those of a module, or of the same place in each layer.

    `tensors` is their number, `formats` maps what is stored ("int8", "float32") to its bytes,
    largest first. `original_bytes` is None if that of one of them is not known. `error` is that of
    all values together, computed from sums. `alike` is the first of them, where all have the same
    shape and are stored in the same way.
    """

    name: str
    tensors: int
    parameters: int
    bytes: int
    original_bytes: int | None
    share: float
    formats: Mapping[str, int]
    error: TensorError | None = None
    alike: TensorInspection | None = None


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What is in a model, tensor by tensor, and how far it is from another one.

    `tensors` are those that were asked for, in the order of the model; `bytes` is what all of the
    model takes, tied tensors once. `weights` is the weight dtype of a frozen directory. `against`
    is what it was compared with. `origin` is what the manifest of a frozen directory says about
    where it comes from: "source", "recipe", "versions". `histogram` is there if it was asked for.
    """

    model: str
    revision: str | None
    architecture: str
    frozen: bool
    weights: str | None = None
    bytes: int
    original_bytes: int | None = None
    against: str | None = None
    against_revision: str | None = None
    tensors: tuple[TensorInspection, ...]
    whole: bool = True
    origin: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    histogram: Histogram | None = None

    @cached_property
    def total(self) -> ModuleInspection:
        """All tensors that were asked for, taken together."""
        return together("", self.tensors)

    @cached_property
    def quantized(self) -> ModuleInspection:
        """Those of them that are quantized."""
        return together("", (tensor for tensor in self.tensors if tensor.qtype is not None))

    @property
    def error(self) -> TensorError | None:
        """The error of all values together."""
        return self.total.error


def together(name: str, tensors: Iterable[TensorInspection]) -> ModuleInspection:
    """Return several tensors as one: sums of bytes, and the error of all their values."""
    found = [*tensors]
    stored = [tensor for tensor in found if tensor.is_stored]
    formats = Counter[str]()
    for tensor in stored:
        formats[tensor.format] += tensor.bytes
    before = [tensor.original_bytes for tensor in stored]
    known = [nbytes for nbytes in before if nbytes is not None]
    return ModuleInspection(
        name=name,
        tensors=len(found),
        parameters=sum(tensor.numel for tensor in stored),
        bytes=sum(tensor.bytes for tensor in found),
        original_bytes=sum(known) if len(known) == len(before) else None,
        share=sum(tensor.share for tensor in found),
        formats=dict(formats.most_common()),
        error=pooled(tensor.error for tensor in found),
    )
