"""How the tensors of a calibration file are named: by their weight, and by what they are.

A weight is a matrix, or several matrices of one size, of which each has inputs of its own: the
experts of a layer, the groups of a convolution.
"""

from __future__ import annotations

MOMENT = "moment"
"""float32 (matrices, columns, columns): the sum of x x' over the inputs x of each matrix."""

MAXIMUM = "maximum"
"""float32 (matrices, columns): the largest |x| of each channel."""

ROWS = "rows"
"""int64 (matrices,): how many inputs each matrix had."""

COUNTS = "counts"
"""int64 (rows,): how often each row of a table was looked up."""


def stored_name(weight: str, what: str) -> str:
    """Return the name of a tensor in the file."""
    return f"{weight}.{what}"
