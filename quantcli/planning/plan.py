"""The plan as plain data: what happens to every tensor of a model. It holds no weights."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from quantcli.dtypes import is_float
from quantcli.formats import WeightFormat, format_of
from quantcli.kinds.layout import Stored, grouped_shape

Action = Literal["quantize", "cast", "keep", "alias", "compute"]
"""quantize: to a Quanto qtype. cast: to another dtype. keep: byte for byte. alias: the same
tensor as another entry, stored there. compute: not stored; transformers computes it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorPlan:
    """What happens to one entry of the model's state dict.

    `kind` is the class of its module. `sources` are checkpoint tensors; `conversion` names
    transformers' operations that make the entry from them; it is `end_to_end` if it does no more
    than lay them one after the other. `dtype` is that of the loaded model.
    `reason` says why the entry is not quantized, or where the result differs from Quanto's.
    `quantized_shape` is the shape in which it is quantized, rows first; if it is `transposed`, the
    last two dimensions are swapped for that. `moment` names the second moment that it is rounded
    by, if its `optimizer` is "gptq". `frozen_as` says what its module is once it is loaded
    (see `kinds.kind.FrozenAs`). `activations` is the qtype of what that reads and gives, where it
    is quantized; its scales are stored with the entry. `extra_for` names the class that takes the
    entry where the model's own does not. An alias is stored as the entry that `alias_of` names.
    """

    name: str
    module: str
    kind: str
    action: Action
    reason: str = ""
    sources: tuple[str, ...] = ()
    conversion: str | None = None
    end_to_end: bool = False
    dtype: str
    shape: tuple[int, ...]
    is_parameter: bool = True
    qtype: str | None = None
    group_size: int | None = None
    optimizer: str | None = None
    moment: str | None = None
    frozen_as: str = ""
    activations: str | None = None
    quantized_shape: tuple[int, ...] = ()
    transposed: bool = False
    stored: tuple[Stored, ...] = ()
    shard: int | None = None
    extra_for: str | None = None
    alias_of: str | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the entry in the output."""
        return sum(tensor.nbytes for tensor in self.stored)

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def weight_format(self) -> WeightFormat:
        """The format of a quantized entry."""
        assert self.qtype is not None, self.name
        return format_of(self.qtype)

    @property
    def grouped_shape(self) -> tuple[int, ...]:
        """The shape of a quantized entry with a scale for each row: of groups, if it has any."""
        return grouped_shape(self.quantized_shape, self.group_size)

    @property
    def uses_kernel(self) -> bool:
        """Whether the module of a quantized entry computes with the kernel that Quanto selects.

        A module that sees its parameters dequantized keeps them in the plain layout.
        """
        return self.frozen_as != "parameter" and self.weight_format.uses_kernel(
            self.quantized_shape, self.dtype, self.group_size
        )

    @property
    def is_matrix(self) -> bool:
        """Whether it counts for coverage: a weight of two dimensions or more."""
        return self.is_parameter and len(self.shape) >= 2 and is_float(self.dtype)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `quantize` will do with one model, to the byte.

    `original_dtypes` maps a dtype to the bytes that the model's tensors take in the checkpoint,
    tied tensors counted once. `recipe` is the resolved recipe. `notices` are messages for the user.
    `with_int8_embeddings` is the bytes of the output if the embeddings, which are kept, were int8;
    None where that would change little. `calibration` says which one the weights are rounded by.
    """

    model: str
    revision: str | None
    architecture: str
    dtype: str
    weights: str
    recipe: Mapping[str, Any]
    original_dtypes: Mapping[str, int]
    tensors: tuple[TensorPlan, ...]
    shards: tuple[str, ...]
    untied: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    with_int8_embeddings: int | None = None
    calibration: Mapping[str, Any] | None = None

    @cached_property
    def original_bytes(self) -> int:
        """Bytes of the model's tensors in the checkpoint."""
        return sum(self.original_dtypes.values())

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the tensors of the output."""
        return sum(tensor.nbytes for tensor in self.tensors)

    @property
    def ratio(self) -> float:
        """Output bytes over original bytes."""
        return self.nbytes / self.original_bytes if self.original_bytes else 1.0

    @cached_property
    def parameters(self) -> int:
        """Number of parameters of the model's class, tied ones counted once."""
        return sum(
            tensor.numel
            for tensor in self.tensors
            if tensor.is_parameter
            and tensor.action not in ("alias", "compute")
            and tensor.extra_for is None
        )

    @cached_property
    def quantized(self) -> tuple[TensorPlan, ...]:
        """The entries that are quantized."""
        return tuple(tensor for tensor in self.tensors if tensor.action == "quantize")

    @cached_property
    def calibrated(self) -> tuple[TensorPlan, ...]:
        """The entries that are stored with the scales of quantized activations."""
        return tuple(tensor for tensor in self.tensors if tensor.activations is not None)

    @property
    def coverage(self) -> float:
        """Share of the parameters of weight matrices that are quantized, 0 to 1."""
        matrices = sum(
            tensor.numel
            for tensor in self.tensors
            if tensor.is_matrix and tensor.action not in ("alias", "compute")
        )
        return sum(tensor.numel for tensor in self.quantized) / matrices if matrices else 0.0

    def kept_matrices(self) -> list[TensorPlan]:
        """List the weight matrices that are stored unquantized, largest first."""
        kept = [
            tensor
            for tensor in self.tensors
            if tensor.is_matrix and tensor.action in ("keep", "cast")
        ]
        return sorted(kept, key=lambda tensor: -tensor.nbytes)

    def kept_reasons(self) -> dict[str, tuple[int, int]]:
        """Map each reason for keeping a weight matrix to how many there are and their bytes."""
        counts: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        for tensor in self.kept_matrices():
            counts[tensor.reason] += 1
            sizes[tensor.reason] += tensor.nbytes
        return {reason: (counts[reason], nbytes) for reason, nbytes in sizes.most_common()}

    def stored_dtypes(self) -> dict[str, int]:
        """Map each dtype of the output to its bytes, largest first."""
        sizes: Counter[str] = Counter()
        for tensor in self.tensors:
            for stored in tensor.stored:
                sizes[stored.dtype] += stored.nbytes
        return dict(sizes.most_common())

    def in_shard(self, index: int) -> tuple[TensorPlan, ...]:
        """List the entries that are stored in one shard."""
        return tuple(tensor for tensor in self.tensors if tensor.shard == index)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-able data, with its totals."""
        fields = asdict(self)
        fields["original_bytes"] = self.original_bytes
        fields["bytes"] = self.nbytes
        fields["ratio"] = self.ratio
        fields["parameters"] = self.parameters
        fields["tensors_quantized"] = len(self.quantized)
        fields["coverage"] = self.coverage
        for tensor, plan in zip(fields["tensors"], self.tensors, strict=True):
            tensor["bytes"] = plan.nbytes
        return fields

    def digest(self) -> str:
        """Return the sha256 of the plan: equal plans give equal bytes."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()
