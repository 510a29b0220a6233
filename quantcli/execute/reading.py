"""Read a parameter a few rows at a time, in the dtype of the model."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Self

import torch

from quantcli.checkpoint import TensorRecord
from quantcli.dtypes import SIZES
from quantcli.errors import MachineError, ModelError
from quantcli.execute.arranged import Piece, PiecesReader, TransposedReader
from quantcli.execute.workspace import Reader, Workspace
from quantcli.files import read_error
from quantcli.planning import Source, TensorPlan
from quantcli.skeleton import Binding


class FileReader:
    """Reads a contiguous tensor from a file, by `preadv` into the caller's memory."""

    def __init__(self, descriptor: int, record: TensorRecord) -> None:
        self._descriptor = descriptor
        self._record = record
        self.numel = math.prod(record.shape)
        self.dtype: torch.dtype = getattr(torch, record.dtype)
        self._itemsize = SIZES[record.dtype]

    def read(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out` from the file; a cast goes through the workspace."""
        same = out.dtype == self.dtype
        raw = out if same else workspace.take("raw", self.dtype, out.numel())
        self._fill(raw.view(torch.uint8), self._record.offset + start * self._itemsize)
        if not same:
            out.copy_(raw)

    def _fill(self, raw: torch.Tensor, offset: int) -> None:
        view = raw.numpy().data
        filled = 0
        while filled < len(view):
            count = os.preadv(self._descriptor, [view[filled:]], offset + filled)
            if count == 0:
                raise ModelError(f"{self._record.file} ended while {self._record.name} was read")
            filled += count


class MemoryReader:
    """Reads from a tensor in memory: the result of a conversion, or one that is not contiguous."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._flat = tensor.reshape(-1)

    def read(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Copy out of the tensor."""
        del workspace
        out.copy_(self._flat[start : start + out.numel()])


class Readers:
    """Opens the weight files of a checkpoint once, and makes readers of its parameters."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._descriptors: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)

    def open(self, tensor: TensorPlan) -> Reader:
        """Return a reader of an entry. A conversion loads its sources now."""
        reader = self._open(tensor)
        return TransposedReader(reader, tensor.shape) if tensor.transposed else reader

    def _open(self, tensor: TensorPlan) -> Reader:
        binding = self._binding(tensor)
        if self.is_streamed(tensor):
            pieces = [self.piece(name) for name in binding.sources]
            return pieces[0] if len(pieces) == 1 else PiecesReader(pieces)
        if binding.convert is None:
            return MemoryReader(self.whole(binding.sources[0]))
        dtype = getattr(torch, tensor.dtype)
        return MemoryReader(binding.convert(lambda name: self.whole(name).to(dtype)))

    def is_streamed(self, tensor: TensorPlan) -> bool:
        """Return whether an entry can be read in rows, without loading all of it."""
        binding = self._binding(tensor)
        strided = any(self._source.checkpoint.tensors[name].strided for name in binding.sources)
        return (binding.convert is None or binding.end_to_end) and not strided

    def _binding(self, tensor: TensorPlan) -> Binding:
        binding = self._source.binding(tensor.name)
        assert binding is not None, tensor.name
        return binding

    def piece(self, name: str) -> Piece:
        """Return a reader of one tensor of the checkpoint, which must not be strided."""
        record = self._source.checkpoint.tensors[name]
        return FileReader(self._descriptor(record.file), record)

    def whole(self, name: str) -> torch.Tensor:
        """Read one tensor of the checkpoint into memory, in its own dtype."""
        record = self._source.checkpoint.tensors[name]
        if record.strided:
            return self._source.checkpoint.read(name)
        tensor = torch.empty(record.shape, dtype=getattr(torch, record.dtype))
        if tensor.numel():
            self.piece(name).read(0, tensor.view(-1), Workspace())
        return tensor

    def prepare(self) -> None:
        """Open every weight file, before threads share them."""
        for file in self._source.checkpoint.weight_files:
            self._descriptor(file)

    def _descriptor(self, file: str) -> int:
        if file not in self._descriptors:
            self._descriptors[file] = open_weights(self._source.checkpoint.path(file))
        return self._descriptors[file]


def open_weights(path: Path) -> int:
    """Return a descriptor of a weight file. Raises `ModelError` or `MachineError`."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ModelError(f"{path} no longer exists") from error
    except OSError as error:
        raise read_error(error, path, MachineError) from error
