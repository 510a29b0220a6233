"""Read a few rows of one tensor, without downloading the files that they are in."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from quantcli.checkpoint import Checkpoint, TensorRecord
from quantcli.dtypes import SIZES
from quantcli.execute.arranged import Piece
from quantcli.execute.reading import MemoryReader, Readers
from quantcli.execute.workspace import Reader, Workspace
from quantcli.planning import Source, TensorPlan


def read_rows(source: Source, tensor: TensorPlan, rows: range) -> torch.Tensor:
    """Return rows (rows, columns) of a tensor as it is quantized, in the dtype of the model.

    From the Hub only these rows are read; but the whole tensor if it is transposed or transformers
    converts it, and the whole file if its bytes are not contiguous. Raises `ModelError`.
    """
    columns = tensor.numel // tensor.quantized_shape[0]
    out = torch.empty(len(rows), columns, dtype=getattr(torch, tensor.dtype))
    with _RangeReaders(source) as readers:
        readers.open(tensor).read(rows.start * columns, out.view(-1), Workspace())
    return out


class _RangeReader:
    """Reads a contiguous tensor by ranges of bytes, from the disk or the Hub."""

    def __init__(self, checkpoint: Checkpoint, record: TensorRecord) -> None:
        self._checkpoint, self._record = checkpoint, record
        self.numel = math.prod(record.shape)

    def read(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out` with the elements from `start` on, cast to its dtype."""
        del workspace
        size = SIZES[self._record.dtype]
        raw = self._checkpoint.sample(self._record.name, start * size, out.numel() * size)
        out.copy_(torch.frombuffer(bytearray(raw), dtype=getattr(torch, self._record.dtype)))


class _RangeReaders(Readers):
    """Makes readers of parameters, whether their files are on the disk or not."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._checkpoint = source.checkpoint

    def open(self, tensor: TensorPlan) -> Reader:
        """Return a reader; one that is transposed is read now: its rows lie everywhere in it."""
        if not tensor.transposed:
            return super().open(tensor)
        whole = torch.empty(tensor.shape, dtype=getattr(torch, tensor.dtype))
        super().open(replace(tensor, transposed=False)).read(0, whole.view(-1), Workspace())
        return MemoryReader(whole.transpose(-1, -2))

    def piece(self, name: str) -> Piece:
        """Return a reader of one tensor of the checkpoint."""
        return _RangeReader(self._checkpoint, self._checkpoint.tensors[name])

    def whole(self, name: str) -> torch.Tensor:
        """Read one tensor of the checkpoint; of a strided one, fetch the file first."""
        record = self._checkpoint.tensors[name]
        if record.strided:
            self._checkpoint.fetch_file(record.file)
        return super().whole(name)
