"""The values of a model's tensors, some rows at a time, and those of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol, Self

import torch

from quantcli.errors import UsageError
from quantcli.execute.reading import Readers
from quantcli.execute.workspace import Workspace
from quantcli.inspection.sums import Block
from quantcli.kinds.layout import Rows
from quantcli.planning import Source, TensorPlan

BLOCK = 128 * 1024
"""Elements of a block: it stays in cache. A block has at least one row."""

WIDE = ("float64", "int32", "int64", "uint32", "uint64")
"""Dtypes whose values float32 cannot hold."""


class Stream(Protocol):
    """Reads the values of one tensor, row by row, in any order."""

    def read(self, start: int, count: int, dtype: torch.dtype, workspace: Workspace) -> Block:
        """Return `count` rows from `start` on, in a dtype."""


class Values(Protocol):
    """Gives the values of a model's tensors by name; of an alias, those of its owner.

    Threads may share it. Raises `UsageError` for a tensor that is not stored.
    """

    def rows(self, name: str) -> Rows:
        """Return how a tensor is seen as rows."""

    def dtype(self, name: str) -> str:
        """Return the dtype of a tensor as it is stored, or of what it is dequantized to."""

    def stream(self, name: str, rows: Rows) -> Stream:
        """Return what reads a tensor, seen as these rows."""


class PlainValues(AbstractContextManager["PlainValues"]):
    """The values of a checkpoint, under the names of the model's parameters."""

    def __init__(self, source: Source, planned: Mapping[str, TensorPlan]) -> None:
        self._planned = planned
        self._records = source.checkpoint.tensors
        self._readers = Readers(source)

    def __enter__(self) -> Self:
        self._readers.__enter__()
        self._readers.prepare()
        return self

    def __exit__(self, *exception: object) -> None:
        self._readers.__exit__(*exception)

    def rows(self, name: str) -> Rows:
        """Return the tensor's own shape."""
        return Rows(shape=self._entry(name).shape)

    def dtype(self, name: str) -> str:
        """Return the dtype in the checkpoint."""
        return self._records[self._entry(name).sources[0]].dtype

    def stream(self, name: str, rows: Rows) -> Stream:
        """Return what reads a parameter; one that transformers converts is converted now."""
        # in the checkpoint's own dtype: a cast is a part of the error
        planned = replace(self._entry(name), transposed=rows.transposed, dtype=self.dtype(name))
        return _PlainStream(self._readers, planned, columns_of(rows))

    def _entry(self, name: str) -> TensorPlan:
        planned = self._planned[name]
        planned = self._planned[planned.alias_of] if planned.alias_of else planned
        if not planned.sources:
            raise UsageError(f"{name} is not stored: {planned.reason}")
        return planned


class _PlainStream:
    def __init__(self, readers: Readers, planned: TensorPlan, columns: int) -> None:
        self._reader = readers.open(planned)
        self._columns = columns

    def read(self, start: int, count: int, dtype: torch.dtype, workspace: Workspace) -> Block:
        out = workspace.take("plain", dtype, count * self._columns)
        self._reader.read(start * self._columns, out, workspace)
        return Block(values=out)


def columns_of(rows: Rows) -> int:
    """Return the elements of a row."""
    return math.prod(rows.shape[1:])


def count_of(rows: Rows) -> int:
    """Return the number of rows; 1 for a scalar."""
    return rows.shape[0] if rows.shape else 1


def ranges(rows: Rows, block: int = BLOCK) -> Iterator[tuple[int, int]]:
    """Yield the first row and the number of rows of each block; none for an empty tensor."""
    count, columns = count_of(rows), columns_of(rows)
    step = max(1, block // max(1, columns))
    for start in range(0, count if columns else 0, step):
        yield start, min(step, count - start)


def compute_dtype(*dtypes: str) -> torch.dtype:
    """Return a dtype that holds the values of these: float32, or float64."""
    return torch.float64 if any(dtype in WIDE for dtype in dtypes) else torch.float32
