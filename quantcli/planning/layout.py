"""How Quanto stores a quantized weight, computed from shapes alone.

The layout is that of `QModuleMixin.state_dict()` in optimum-quanto 0.2.7; the tests compare it
with Quanto's own on every dtype.
"""

from __future__ import annotations

import math

from quantcli.dtypes import BITS, STORAGE
from quantcli.planning.plan import Stored


def default_group_size(shape: tuple[int, ...]) -> int | None:
    """Return the group size that Quanto takes for int4 and int2, or None for one group a row.

    128, or the next smaller multiple of 32 that divides the row (`QModuleMixin.__init__`).
    """
    row = math.prod(shape[1:])
    sizes = (size for size in (128, 96, 64, 32) if row > 128 and row % size == 0)
    return next(sizes, None)


def grouped_shape(shape: tuple[int, ...], group_size: int | None) -> tuple[int, ...]:
    """Return the shape in which a weight is quantized: one group in each row."""
    if group_size is None:
        return shape
    return (math.prod(shape) // group_size, group_size)


def packed_rows(rows: int, bits: int) -> int:
    """Return the rows of packed data: byte row i holds the values of rows i, i + n, i + 2n, ..."""
    return -(-rows // (8 // bits))


def quantized_tensors(
    module: str, shape: tuple[int, ...], dtype: str, qtype: str, group_size: int | None
) -> tuple[Stored, ...]:
    """List what Quanto stores for a weight of `shape` and `dtype`: data, scale, shift, scales."""
    weight = f"{module}.weight"
    data = STORAGE[qtype]
    if BITS[qtype] == 8:
        weights = [
            Stored(name=f"{weight}._data", dtype=data, shape=shape),
            Stored(name=f"{weight}._scale", dtype=dtype, shape=_scale_shape(shape)),
        ]
    else:
        grouped = grouped_shape(shape, group_size)
        packed = (packed_rows(grouped[0], BITS[qtype]), *grouped[1:])
        scale = _affine_shape(grouped)
        weights = [
            Stored(name=f"{weight}._data._data", dtype=data, shape=packed),
            Stored(name=f"{weight}._scale", dtype=dtype, shape=scale),
            Stored(name=f"{weight}._shift", dtype=dtype, shape=scale),
        ]
    activations = [
        Stored(name=f"{module}.{name}", dtype=dtype, shape=())
        for name in ("input_scale", "output_scale")
    ]
    return (*weights, *activations)


def _scale_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    # SymmetricOptimizer takes a single row as one tensor, with a scalar scale
    return () if shape[0] == 1 else (shape[0], *(1 for _ in shape[1:]))


def _affine_shape(grouped: tuple[int, ...]) -> tuple[int, ...]:
    # AffineOptimizer gives up the axis of a single group, and MaxOptimizer then reduces all
    # dimensions but the last
    if grouped[0] == 1:
        return (*(1 for _ in grouped[1:]), grouped[-1])
    return (grouped[0], *(1 for _ in grouped[1:]))
