"""Make the explanation of a tensor: read its rows, quantize them, put the numbers together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from quantcli.errors import ModelError, UsageError
from quantcli.explanation import formulas
from quantcli.explanation.explanation import Explanation, Worked, stored_index
from quantcli.explanation.measures import casts, compare, grid
from quantcli.explanation.notices import notices_of
from quantcli.explanation.reading import read_rows
from quantcli.explanation.results import Result, result_of
from quantcli.formats import WeightFormat, format_named
from quantcli.kinds.layout import Rows
from quantcli.planning import Source, TensorPlan
from quantcli.planning.groups import GroupSizes
from quantcli.skeleton import weight_modules

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which part of a weight is shown: at most `rows` x `columns` values from `at` on.

    `at` is a row and a column, counted as the weight is quantized. Without it, the first rows, and
    the columns around the largest absolute value of the first row: it sets the scale.
    """

    at: tuple[int, int] | None = None
    rows: int = 6
    columns: int = 6


def explain_tensor(
    tensor: TensorPlan, source: Source, weights: str, part: Part, group_size: int | None = None
) -> Explanation:
    """Return the explanation of a tensor of a plan that quantizes to `weights`, or of its cast.

    A tensor that the plan keeps is explained as if it were quantized, with `group_size` if it
    divides the row.
    Raises `UsageError` if the part lies outside, `ModelError` if the weights are not finite.
    """
    weight_format = format_named(weights)
    kept = tensor.reason if tensor.action != "quantize" else ""
    planned = _as_if(tensor, source, weight_format, group_size) if kept else tensor
    rows, values = _read(planned, source, part)
    columns = _columns(planned, weight_format, values, part)
    result = result_of(values, planned, weight_format, first=rows.start, columns=columns)
    shown = slice(columns.start, columns.stop)
    own = compare(weights, result.bits, values, result.restored, shown)
    is_cast = weight_format.is_downcast
    found = Explanation(
        model=source.checkpoint.model,
        revision=source.checkpoint.revision,
        tensor=tensor.name,
        kind=tensor.kind,
        weights=weights,
        dtype=tensor.dtype,
        shape=tensor.shape,
        transposed=planned.transposed,
        rows=planned.quantized_shape[0],
        columns=values.shape[1],
        group_size=None if is_cast else planned.group_size,
        kept="" if is_cast else kept,
        row=rows.start,
        column=columns.start,
        original=grid(values[:, shown]),
        spans=result.spans,
        codes=None if result.codes is None else grid(result.codes[:, shown]),
        restored=grid(result.restored[:, shown]),
        errors=own.errors,
        half_steps=grid(result.half[:, shown]),
        worked=_worked(planned, values, result, rows, columns),
        comparisons=(own, *casts(values, shown, but=weights)),
        steps=formulas.steps(weight_format, _shared(planned, values.shape[1])),
        sources=formulas.sources(weight_format),
        notices=(),
    )
    return replace(found, notices=notices_of(found, planned, group_size))


def _shared(tensor: TensorPlan, columns: int) -> str:
    """Return what shares a scale."""
    size = tensor.group_size
    return f"group of {size} values" if size else f"row of {columns} values"


def _as_if(
    tensor: TensorPlan, source: Source, weight_format: WeightFormat, group_size: int | None
) -> TensorPlan:
    """Return the plan of a tensor that is kept, as if nothing spoke against quantizing it."""
    module = weight_modules(source.skeleton).get(tensor.module)
    own = module.weights.get(tensor.name.rpartition(".")[2]) if module else None
    rows = own or Rows(shape=tensor.shape)
    size, reason = GroupSizes().find(weight_format, rows.shape, group_size)
    return replace(
        tensor,
        action="quantize",
        reason=reason,
        qtype=weight_format.qtype,
        group_size=size,
        optimizer="max",
        frozen_as="parameter",
        quantized_shape=rows.shape,
        transposed=rows.transposed,
    )


def _read(tensor: TensorPlan, source: Source, part: Part) -> tuple[range, torch.Tensor]:
    """Return which rows are shown, and their values. Raises as `explain_tensor` does."""
    total = tensor.quantized_shape[0]
    columns = tensor.numel // total
    row, column = part.at or (0, 0)
    if not (0 <= row < total and 0 <= column < columns):
        raise UsageError(
            f"--at {row},{column} is outside of {tensor.name}: {total} rows, {columns} columns",
            hint=f"the last value is at {total - 1},{columns - 1}",
        )
    rows = range(row, min(row + part.rows, total))
    values = read_rows(source, tensor, rows)
    if not values.isfinite().all():
        raise ModelError(
            f"{tensor.name}: weights are not finite in rows {rows.start} to {rows.stop - 1}",
            hint="the checkpoint is damaged; quantize stops with an error too",
        )
    return rows, values


def _columns(
    tensor: TensorPlan, weight_format: WeightFormat, values: torch.Tensor, part: Part
) -> range:
    """Return which columns are shown: from `at` on, else around the first row's largest value.

    Those lie in one group.
    """
    total = values.shape[1]
    if part.at is not None:
        return range(part.at[1], min(part.at[1] + part.columns, total))
    width = tensor.group_size if weight_format.is_grouped else None
    largest = int(values[0].abs().argmax())
    first, last = 0, total
    if width is not None:
        first = largest // width * width
        last = first + width
    count = min(part.columns, last - first)
    start = min(max(largest - count // 2, first), last - count)
    return range(start, start + count)


def _worked(
    tensor: TensorPlan, values: torch.Tensor, result: Result, rows: range, columns: range
) -> Worked:
    """Return the value of the slice with the largest error."""
    errors = (result.restored.double() - values.double())[:, columns.start : columns.stop]
    row, column = divmod(int(errors.abs().argmax()), len(columns))
    at = (row, columns.start + column)
    position = (rows.start + row) * values.shape[1] + at[1]
    return Worked(
        row=rows.start + row,
        column=at[1],
        index=stored_index(tensor.shape, position, transposed=tensor.transposed),
        value=values[at].item(),
        quotient=None if result.quotients is None else result.quotients[at].item(),
        code=None if result.codes is None else result.codes[at].item(),
        restored=result.restored[at].item(),
        error=errors[row, column].item(),
        half_step=result.half[at].item(),
    )
