"""Read a parameter whose values lie in the checkpoint in another order than they are quantized."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from quantcli.execute.workspace import Reader, Workspace

if TYPE_CHECKING:
    import torch

STRIP_BYTES = 4 * 1024 * 1024
"""Columns are read in strips of about this size: each costs one read a row of the matrix."""

STRIPS = 6
"""Strips that are kept. Packed formats take rows from up to four places in turn."""


class Piece(Reader, Protocol):
    """A reader that knows how many elements it has."""

    numel: int


class PiecesReader:
    """Reads tensors that lie end to end: the experts of a layer, stored one by one."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._ends = list(accumulate(piece.numel for piece in pieces))

    def read(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out` from one piece after the other."""
        filled = 0
        while filled < out.numel():
            index = bisect_right(self._ends, start + filled)
            piece, end = self._pieces[index], self._ends[index]
            count = min(out.numel() - filled, end - start - filled)
            offset = start + filled - (end - piece.numel)
            piece.read(offset, out[filled : filled + count], workspace)
            filled += count


class TransposedReader:
    """Reads matrices by columns: the last two dimensions of what another reader gives are swapped.

    It keeps the last strips of columns, so that neighbouring blocks do not read them again.
    """

    def __init__(self, reader: Reader, shape: tuple[int, ...]) -> None:
        self._reader = reader
        self._rows, self._columns = shape[-2:]
        self._strips: OrderedDict[tuple[int, int], torch.Tensor] = OrderedDict()

    def read(self, start: int, out: torch.Tensor, workspace: Workspace) -> None:
        """Fill `out` with whole and partial columns."""
        width = self._strip_width(out.dtype)
        filled = 0
        while filled < out.numel():
            column, row = divmod(start + filled, self._rows)
            matrix, column = divmod(column, self._columns)
            strip = self._strip(matrix, column // width * width, width, out.dtype, workspace)
            offset = (column % width) * self._rows + row
            count = min(out.numel() - filled, strip.numel() - offset)
            out[filled : filled + count] = strip[offset : offset + count]
            filled += count

    def _strip_width(self, dtype: torch.dtype) -> int:
        return min(self._columns, max(1, STRIP_BYTES // (self._rows * dtype.itemsize)))

    def _strip(
        self, matrix: int, first: int, width: int, dtype: torch.dtype, workspace: Workspace
    ) -> torch.Tensor:
        """Return columns `first` to `first + width` of a matrix, one after the other."""
        key = (matrix, first)
        if key not in self._strips:
            width = min(width, self._columns - first)
            self._strips[key] = self._load(matrix, first, width, dtype, workspace)
        self._strips.move_to_end(key)
        while len(self._strips) > STRIPS:
            self._strips.popitem(last=False)
        return self._strips[key]

    def _load(
        self, matrix: int, first: int, width: int, dtype: torch.dtype, workspace: Workspace
    ) -> torch.Tensor:
        start = matrix * self._rows * self._columns
        strip = workspace.take("strip", dtype, self._rows * width)
        if width == self._columns:
            self._reader.read(start, strip, workspace)
        else:
            for row, values in enumerate(strip.view(self._rows, width)):
                self._reader.read(start + row * self._columns + first, values, workspace)
        return strip.view(self._rows, width).t().contiguous().view(-1)
