"""The values of a weight as `quantize` would store them, and how far they move its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import torch

from quantcli.calibration import Calibration
from quantcli.execute.reading import Readers
from quantcli.execute.run import one_thread_each
from quantcli.execute.shard import ShardFile
from quantcli.execute.tasks import run_unit, units
from quantcli.execute.workspace import Workspace
from quantcli.explanation.reading import read_rows
from quantcli.kinds.layout import FrozenWeight
from quantcli.kinds.unpack import use_torch_unpack
from quantcli.kinds.weights import assemble
from quantcli.planning import Source, TensorPlan
from quantcli.tuning.damage import damage


class MemoryShard:
    """Takes what is written for one weight, instead of a file."""

    def __init__(self, tensor: TensorPlan) -> None:
        self._flat = {
            part.name: torch.empty(part.shape, dtype=getattr(torch, part.dtype))
            for part in tensor.stored
        }

    def write(self, name: str, start: int, values: torch.Tensor) -> None:
        """Write elements of a stored tensor, from flat index `start` on."""
        flat = self._flat[name].view(-1)
        flat[start : start + values.numel()] = values.reshape(-1).view(flat.dtype)

    def parts(self, weight: str) -> dict[str, torch.Tensor]:
        """Return the stored parts of a weight, by what follows its name."""
        start = f"{weight}."
        return {
            name.removeprefix(start): tensor
            for name, tensor in self._flat.items()
            if name.startswith(start)
        }


@dataclass(frozen=True, slots=True)
class Quantized:
    """A weight with quantized values, in the shape of its parameter, and the damage."""

    name: str
    values: torch.Tensor
    damage: float


class Weights:
    """Quantizes weights of a model in memory, by the code that writes them to files."""

    def __init__(self, source: Source, calibration: Calibration, jobs: int) -> None:
        self._source = source
        self._calibration = calibration
        self._jobs = jobs

    def quantized(self, tensors: Sequence[TensorPlan]) -> Iterator[Quantized]:
        """Quantize weights in threads; yields them in order."""
        use_torch_unpack()
        with one_thread_each(), ThreadPoolExecutor(self._jobs) as pool:
            yield from pool.map(self._one, tensors)

    def _one(self, tensor: TensorPlan) -> Quantized:
        rows = read_rows(self._source, tensor, range(tensor.quantized_shape[0]))
        restored = self._restored(tensor)
        change = restored.float() - rows.float()
        found = damage(change, tensor, self._calibration)
        return Quantized(tensor.name, as_parameter(restored, tensor), found)

    def _restored(self, tensor: TensorPlan) -> torch.Tensor:
        """Return the rows (rows, columns) that Quanto makes of what is stored."""
        shard, workspace = MemoryShard(tensor), Workspace()
        with Readers(self._source) as readers:
            for unit in units(tensor, readers):
                run_unit(unit, readers, cast("ShardFile", shard), workspace, self._calibration)
        weight = FrozenWeight(
            weight_format=tensor.weight_format,
            shape=tensor.quantized_shape,
            group_size=tensor.group_size,
        )
        parts = shard.parts(tensor.name)
        found: torch.Tensor = assemble(weight, parts, plain=True).dequantize()
        return found.detach().view(tensor.quantized_shape[0], -1)


def as_parameter(rows: torch.Tensor, tensor: TensorPlan) -> torch.Tensor:
    """Return rows (rows, columns) in the shape of the parameter that they are of."""
    if not tensor.transposed:
        return rows.reshape(tensor.shape)
    *outer, inputs, outputs = tensor.shape
    return rows.reshape(*outer, outputs, inputs).transpose(-1, -2).contiguous()
