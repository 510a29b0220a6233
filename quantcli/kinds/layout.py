"""How Quanto stores a quantized weight, computed from shapes alone.

The layout is that of `QModuleMixin.state_dict()` in optimum-quanto 0.2.7; the tests compare it
with Quanto's own for every format. Shapes are those in which a weight is quantized: rows first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from quantcli.dtypes import SIZES
from quantcli.formats import WeightFormat

GROUP_SIZES = (128, 96, 64, 32)
"""What Quanto tries, in this order (`QModuleMixin.__init__`)."""

DATA = "_data"
"""How the names of the parts end that hold quantized values; the others hold scales and shifts."""

PARTS = ("_data._data", "_data", "_scale", "_shift")
"""Every part that a stored weight can have, by what follows the name of the weight."""


ACTIVATION_SCALES = ("input_scale", "output_scale")
"""Scalars that Quanto stores with every quantized module: 1 where weights alone are quantized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One tensor of the output: its name, the name of its torch dtype, its shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of its payload."""
        return math.prod(self.shape) * SIZES[self.dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """How a parameter is seen as rows to quantize.

    `shape` is the shape in which it is quantized, rows first. If it is `transposed`, its last two
    dimensions are swapped for that: it is stored as (..., inputs, outputs), and a row is an output.
    """

    shape: tuple[int, ...]
    transposed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenWeight:
    """How a quantized parameter is stored: its format, the shape of its rows, its group size."""

    weight_format: WeightFormat
    shape: tuple[int, ...]
    group_size: int | None

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each stored part."""
        return part_shapes(self.shape, self.weight_format, self.group_size)

    def nbytes(self, itemsize: int) -> int:
        """Return the bytes of the parts; an element of a scale takes `itemsize`."""
        return sum(
            math.prod(shape) * (1 if name.endswith(DATA) else itemsize)
            for name, shape in self.parts().items()
        )


def default_group_size(shape: tuple[int, ...]) -> int | None:
    """Return the group size that Quanto takes for grouped formats, or None for one group a row.

    It is 128, or the next smaller multiple of 32 that divides the row.
    """
    row = math.prod(shape[1:])
    sizes = (size for size in GROUP_SIZES if row > GROUP_SIZES[0] and row % size == 0)
    return next(sizes, None)


def grouped_shape(shape: tuple[int, ...], group_size: int | None) -> tuple[int, ...]:
    """Return the shape of a weight with one group in each row."""
    if group_size is None:
        return shape
    return (math.prod(shape) // group_size, group_size)


def packed_rows(rows: int, weight_format: WeightFormat) -> int:
    """Return the rows of packed data: byte row i holds the values of rows i, i + n, i + 2n, ..."""
    return -(-rows // weight_format.per_byte)


def part_shapes(
    shape: tuple[int, ...], weight_format: WeightFormat, group_size: int | None
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each stored part of a weight of `shape`."""
    if not weight_format.is_grouped:
        return {"_data": shape, "_scale": _row_scales(shape)}
    grouped = grouped_shape(shape, group_size)
    scale = _group_scales(grouped)
    packed = (packed_rows(grouped[0], weight_format), *grouped[1:])
    return {"_data._data": packed, "_scale": scale, "_shift": scale}


def stored_parts(
    weight: str,
    shape: tuple[int, ...],
    dtype: str,
    weight_format: WeightFormat,
    group_size: int | None,
) -> tuple[Stored, ...]:
    """List the stored parts of the weight of this name, shape and dtype."""
    return tuple(
        Stored(
            name=f"{weight}.{part}",
            dtype=weight_format.storage if part.endswith(DATA) else dtype,
            shape=part_shape,
        )
        for part, part_shape in part_shapes(shape, weight_format, group_size).items()
    )


def activation_scales(module: str, dtype: str) -> tuple[Stored, ...]:
    """Return the activation scales of the module of this name, as they are stored."""
    return tuple(
        Stored(name=f"{module}.{name}", dtype=dtype, shape=()) for name in ACTIVATION_SCALES
    )


def _row_scales(shape: tuple[int, ...]) -> tuple[int, ...]:
    # SymmetricOptimizer takes a single row as one tensor, with a scalar scale
    return () if shape[0] == 1 else (shape[0], *(1 for _ in shape[1:]))


def _group_scales(grouped: tuple[int, ...]) -> tuple[int, ...]:
    # AffineOptimizer gives up the axis of a single group, and MaxOptimizer then reduces all
    # dimensions but the last
    if grouped[0] == 1:
        return (*(1 for _ in grouped[1:]), grouped[-1])
    return (grouped[0], *(1 for _ in grouped[1:]))
