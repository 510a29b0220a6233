"""The values of a frozen directory, some rows at a time."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Self

import torch

from quantcli.dequantization.entries import FrozenEntry
from quantcli.dequantization.reader import FrozenReader
from quantcli.execute.workspace import Workspace
from quantcli.inspection.sums import Block
from quantcli.inspection.values import Stream
from quantcli.kinds.layout import Rows


class FrozenValues(AbstractContextManager["FrozenValues"]):
    """The values of a frozen directory, dequantized as the loaded model sees them."""

    def __init__(self, reader: FrozenReader) -> None:
        self._reader = reader

    def __enter__(self) -> Self:
        self._reader.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._reader.__exit__(*exception)

    def rows(self, name: str) -> Rows:
        """Return the rows in which the tensor was quantized."""
        return self._reader.entry(name).rows

    def dtype(self, name: str) -> str:
        """Return the dtype of the dequantized values."""
        return self._reader.entry(name).dtype

    def stream(self, name: str, rows: Rows) -> Stream:
        """Return what reads an entry and, if it is quantized, its codes."""
        entry = self._reader.entry(name)
        assert entry.rows == rows, name
        return _FrozenStream(self._reader, entry)


class _FrozenStream:
    def __init__(self, reader: FrozenReader, entry: FrozenEntry) -> None:
        self._entry = entry
        self._rows = reader.open(entry)
        self._scale: torch.Tensor | None = None
        if entry.weight_format is not None and entry.weight_format.is_grouped:
            self._scale = reader.checkpoint.read(entry.parts["_scale"].name).float().view(-1)

    def read(self, start: int, count: int, dtype: torch.dtype, workspace: Workspace) -> Block:
        entry = self._entry
        own = self._take("dequantized", entry.dtype, count, workspace)
        self._rows.values(start, own, workspace)
        values = workspace.take("values", dtype, own.numel())
        values.copy_(own.view(-1))
        if entry.weight_format is None:
            return Block(values=values)
        stored = next(iter(entry.parts.values())).dtype
        codes = self._take("own codes", stored, count, workspace)
        self._rows.codes(start, codes, workspace)
        return Block(
            values=values,
            codes=codes.view(-1),
            step=self._step(start, count),
            weight_format=entry.weight_format,
        )

    def _take(self, name: str, dtype: str, count: int, workspace: Workspace) -> torch.Tensor:
        columns = self._entry.columns
        flat = workspace.take(name, getattr(torch, dtype), count * columns)
        return flat.view(count, columns)

    def _step(self, start: int, count: int) -> torch.Tensor | None:
        """Return the scales of some rows (see `Block`), None for a format without a shift."""
        scale, entry = self._scale, self._entry
        if scale is None:
            return None
        group = entry.group_size or entry.columns
        if entry.numel == group:  # one group: a scale for each place in its last dimension
            return scale.view(1, -1)
        per_row = entry.columns // group
        return scale[start * per_row : (start + count) * per_row].view(-1, 1)
