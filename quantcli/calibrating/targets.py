"""The weights whose inputs are observed, and how they are found among the operands of a product."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from quantcli.planning import Source
from quantcli.skeleton import WeightModule, weight_modules

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A weight that can be quantized: a matrix, or `matrices` of one size with inputs of their own.

    `columns` is the length of an input, `shape` that of the parameter. A `transposed` weight is
    (..., inputs, outputs). `table` says that rows are looked up in it.
    """

    name: str
    shape: tuple[int, ...]
    matrices: int
    columns: int
    transposed: bool
    table: bool

    @property
    def moment_bytes(self) -> int:
        """Bytes of its second moments in float32."""
        return 4 * self.matrices * self.columns**2


def targets_of(source: Source) -> dict[str, Target]:
    """Return the weights of a model that can be quantized, tied ones under one name.

    Leaves out transposed convolutions: all values of a row of theirs count the same.
    """
    model = source.skeleton.model
    found: dict[str, Target] = {}
    for module in weight_modules(source.skeleton).values():
        for target in _of_module(module, model.get_submodule(module.name)):
            name = source.ties.aliases.get(target.name, target.name)
            found.setdefault(name, target)
    return {name: target for name, target in found.items() if target.name == name}


def _of_module(described: WeightModule, module: nn.Module) -> Iterable[Target]:
    kind = described.kind
    if kind is None or not (kind.multiplies_rows or kind.is_embedding):
        return
    for leaf, rows in described.weights.items():
        shape = tuple(module.get_parameter(leaf).shape)
        yield Target(
            name=f"{described.name}.{leaf}" if described.name else leaf,
            shape=shape,
            matrices=_matrices(module, shape),
            columns=math.prod(rows.shape[1:]),
            transposed=rows.transposed,
            table=kind.is_embedding,
        )


def _matrices(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Return how many matrices a weight has: groups of a convolution, experts of a layer."""
    if isinstance(module, CONVOLUTIONS):
        return module.groups
    return shape[0] if len(shape) == 3 else 1


class Weights:
    """Finds the target that a tensor is, or is a part of, by its place in memory."""

    def __init__(self, model: nn.Module, targets: Mapping[str, Target]) -> None:
        owned = dict(model.named_parameters(remove_duplicate=False))
        places = sorted(
            (owned[name].data_ptr(), owned[name].nbytes, name) for name in targets if name in owned
        )
        self._starts = [start for start, _, _ in places]
        self._places = places
        self.targets = targets

    def find(self, tensor: torch.Tensor) -> tuple[Target, int] | None:
        """Return the target, and at which of its matrices the tensor begins; None for no weight."""
        address = tensor.data_ptr()
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start, nbytes, name = self._places[index]
        if address >= start + nbytes:
            return None
        target = self.targets[name]
        return target, (address - start) // (nbytes // target.matrices)
