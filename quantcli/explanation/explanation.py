"""What an explanation is: plain numbers, with nothing of torch in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantcli.explanation.formulas import Step

Grid = tuple[tuple[float, ...], ...]
"""A number for each value of the slice, by row."""

Method = Literal["symmetric", "affine", "float8", "cast"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Values that are quantized together: a row, or one group of it.

    `columns` are its columns in `row`, also outside the slice. The extremes, the errors and
    `clipped` (values beyond the last code) are those of all of them. `shift` is as it is stored,
    None of a symmetric format. `zero_point` is the integer of the textbook, None where all values
    are equal. `half_step` bounds the error in exact arithmetic; if it depends on the value, it is
    the largest. `limit` adds what the model's dtype rounds. `share` is the largest ratio of an
    error to the half step of its value.
    """

    row: int
    columns: range
    minimum: float
    maximum: float
    scale: float
    shift: float | None
    zero_point: int | None
    half_step: float
    limit: float
    max_error: float
    share: float
    clipped: int

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return max(abs(self.minimum), abs(self.maximum))

    @property
    def has_zero(self) -> bool:
        """Whether 0 lies in its range."""
        return self.minimum <= 0 <= self.maximum


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """One value step by step: that of the slice with the largest error.

    `index` is its index in the stored tensor. `quotient` is what is rounded to the `code`, as the
    model's dtype has it; both are None of a cast.
    """

    row: int
    column: int
    index: tuple[int, ...]
    value: float
    quotient: float | None
    code: float | None
    restored: float
    error: float
    half_step: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A dtype on the slice: bits for each value, scales included, and how far values move.

    `errors` are restored values minus original ones. The SQNR, in dB, is 10 log10 of the sum of
    squares of the values over that of the errors: None without an error, minus infinity if a value
    has become infinite. `row_sqnr` is that of the whole rows.
    """

    dtype: str
    bits: float
    errors: Grid
    max_error: float
    mean_error: float
    sqnr: float | None
    row_sqnr: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How a weight is quantized, shown on a slice of it.

    `shape` is that of the stored tensor; `rows` and `columns` count those in which it is quantized,
    and `row` and `column` are the first ones of the slice. If the tensor is `transposed`, its last
    two dimensions are swapped for that. `dtype` is that of the loaded model, `weights` what it
    becomes. `codes` are the stored numbers, not yet packed: integers, or those of float8; None of a
    cast, which has no `spans` either. `half_steps` bound the errors in exact arithmetic. `kept` is
    why `quantize` keeps the tensor, which is then explained as if it did not; else "".
    """

    model: str
    revision: str | None
    tensor: str
    kind: str
    weights: str
    dtype: str
    shape: tuple[int, ...]
    transposed: bool
    rows: int
    columns: int
    group_size: int | None
    kept: str
    row: int
    column: int
    original: Grid
    spans: tuple[Span, ...]
    codes: Grid | None
    restored: Grid
    errors: Grid
    half_steps: Grid
    worked: Worked
    comparisons: tuple[Comparison, ...]
    steps: tuple[Step, ...]
    sources: tuple[str, ...]
    notices: tuple[str, ...]

    @property
    def method(self) -> Method:
        """How it is quantized."""
        if self.codes is None:
            return "cast"
        if any(span.shift is not None for span in self.spans):
            return "affine"
        return "float8" if self.weights.startswith("float8") else "symmetric"

    @property
    def shown_rows(self) -> range:
        """The rows of the slice."""
        return range(self.row, self.row + len(self.original))

    @property
    def shown_columns(self) -> range:
        """The columns of the slice."""
        return range(self.column, self.column + len(self.original[0]))

    @property
    def max_error(self) -> float:
        """The largest absolute error in the slice."""
        return max(abs(error) for row in self.errors for error in row)

    @property
    def is_grouped(self) -> bool:
        """Whether a row has more than one scale."""
        return any(len(span.columns) < self.columns for span in self.spans)

    def span_at(self, row: int, column: int) -> Span:
        """Return the span of a value of the slice. Raises `LookupError` if there is none."""
        for span in self.spans:
            if span.row == row and column in span.columns:
                return span
        raise LookupError(f"no span at {row}, {column}")


def stored_index(shape: tuple[int, ...], position: int, *, transposed: bool) -> tuple[int, ...]:
    """Return the index in a stored tensor of the value at a flat position, as it is quantized.

    A `transposed` tensor is stored as (..., inputs, outputs) and quantized output by output.
    """
    seen, index = (*shape[:-2], shape[-1], shape[-2]) if transposed else shape, []
    for size in reversed(seen):
        position, inside = divmod(position, size)
        index.append(inside)
    index.reverse()
    return (*index[:-2], index[-1], index[-2]) if transposed else tuple(index)
