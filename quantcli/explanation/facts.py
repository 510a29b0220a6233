"""The facts of an explanation as columns of text, for tables of any kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quantcli.explanation.explanation import Explanation, Span
from quantcli.explanation.figures import decibels, scaled
from quantcli.formats import format_named


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and its cells."""

    title: str
    cells: tuple[str, ...]


def labels(found: Explanation) -> list[Column]:
    """Return which row each span is in, and which columns it has if a row has several."""
    columns = [Column("row", tuple(str(span.row) for span in found.spans))]
    if found.is_grouped:
        columns.append(Column("columns", tuple(map(_columns, found.spans))))
    return columns


def _columns(span: Span) -> str:
    every = f" by {span.columns.step}" if span.columns.step > 1 else ""
    return f"{span.columns[0]} to {span.columns[-1]}{every}"


def extremes(found: Explanation) -> list[Column]:
    """Return the first step: the extreme values of each span."""
    ends = [end for span in found.spans for end in (span.minimum, span.maximum, span.largest)]
    numbers = scaled(ends)
    columns = [
        Column(f"{name}{numbers.unit}", numbers.texts[index::3])
        for index, name in enumerate(("min r", "max r", "a"))
    ]
    return columns[:2] if found.method == "affine" else columns


def scales(found: Explanation) -> list[Column]:
    """Return the second step: the scale of each span."""
    return [_numbers("S", [span.scale for span in found.spans])]


def zero_points(found: Explanation) -> list[Column]:
    """Return the third step: the zero point of each span, and Quanto's shift if it has one."""
    columns = []
    if found.method == "affine":
        columns.append(_numbers("shift", [span.shift for span in found.spans]))
        columns.append(_numbers("shift / S", [_ratio(span) for span in found.spans]))
    return [*columns, _numbers("Z", [span.zero_point for span in found.spans])]


def _ratio(span: Span) -> float | None:
    return span.shift / span.scale if span.shift is not None and span.scale else None


def bounds(found: Explanation) -> list[Column]:
    """Return the bound of the error of each span, and how near the errors come to it."""
    exact = found.method != "float8"
    both = [number for span in found.spans for number in (span.half_step, span.max_error)]
    numbers = scaled(both)
    shares = (f"{span.share:.1%}" if span.half_step else "" for span in found.spans)
    return [
        Column(f"{'S / 2' if exact else 'S spacing / 2'}{numbers.unit}", numbers.texts[::2]),
        Column(f"max |e|{numbers.unit}", numbers.texts[1::2]),
        Column("of the bound" if exact else "of its own bound", tuple(shares)),
        Column("verdict", tuple(map(_verdict, found.spans))),
    ]


def _verdict(span: Span) -> str:
    if span.clipped:
        return f"{span.clipped} clipped"
    if span.share <= 1:
        return "within"
    return "above: rounding" if span.max_error <= span.limit else "above"


def comparison(found: Explanation) -> tuple[str, list[Column]]:
    """Return the unit of the errors, and how the dtype and the casts do on the same values."""
    every = found.comparisons
    errors = scaled([error for each in every for error in (each.max_error, each.mean_error)])
    columns = [
        Column("dtype", tuple(each.dtype for each in every)),
        Column("bits per value", tuple(f"{each.bits:.3f}" for each in every)),
        Column("max |e|", errors.texts[::2]),
        Column("mean |e|", errors.texts[1::2]),
        Column("SQNR, dB", tuple(decibels(each.sqnr) for each in every)),
        Column("of the rows", tuple(decibels(each.row_sqnr) for each in every)),
    ]
    return errors.unit, columns


def _numbers(title: str, values: Sequence[float | None]) -> Column:
    numbers = scaled(values)
    return Column(f"{title}{numbers.unit}", numbers.texts)


def about(found: Explanation) -> list[str]:
    """Return which weight it is, how it is quantized, and which part is shown."""
    shape = "x".join(map(str, found.shape))
    shown = f"{_range('row', found.shown_rows)}, {_range('column', found.shown_columns)}"
    return [
        f"{found.tensor} of {found.model}",
        f"{found.kind} {shape} in {found.dtype}, to {found.weights}: {_method(found)}",
        f"shown: {shown}{_seen(found)}",
    ]


def _range(noun: str, numbers: range) -> str:
    first, last = numbers[0], numbers[-1]
    return f"{noun} {first}" if first == last else f"{noun}s {first} to {last}"


def _method(found: Explanation) -> str:
    if found.method == "cast":
        return "a cast"
    kind = "affine" if found.method == "affine" else "symmetric"
    shared = "group" if found.is_grouped else "row"
    return f"{kind}, a scale for each {shared} of {len(found.spans[0].columns)} values"


def _seen(found: Explanation) -> str:
    """Return how the weight is seen as rows, where that is not its shape."""
    if found.shape == (found.rows, found.columns):
        return ""
    turned = ", transposed" if found.transposed else ""
    return f" (quantized as {found.rows} rows of {found.columns}{turned})"


def worked(found: Explanation) -> Iterator[str]:
    """Yield one value step by step, a line each."""
    one = found.worked
    yield f"r  = {one.value:.7g}, weight[{', '.join(map(str, one.index))}]"
    if found.codes is not None:
        yield from _worked_steps(found)
    yield f"r' = {one.restored:.7g}"
    sign = "<=" if abs(one.error) <= one.half_step else ">"
    yield f"e  = {one.error:.3g}, |e| {sign} {one.half_step:.3g}"


def _worked_steps(found: Explanation) -> Iterator[str]:
    one, weight_format = found.worked, format_named(found.weights)
    rounded = "" if found.dtype == "float32" else f", in {found.dtype}"
    span, high = found.span_at(one.row, one.column), f"{weight_format.maximum:g}"
    if span.shift is None:
        name = weight_format.storage if found.method == "float8" else "round"
        yield f"S  = {span.largest:.7g} / {high} = {span.scale:.7g}"
        yield f"q  = {name}(r / S) = {name}({one.quotient:.7g}) = {one.code:g}{rounded}"
        yield f"r' = S q = {span.scale:.7g} * {one.code:g}"
        return
    yield f"S  = ({span.maximum:.7g} {_minus(span.minimum)}) / {high} = {span.scale:.7g}"
    yield f"q  = round((r + shift) / S) = round({one.quotient:.7g}) = {one.code:g}{rounded}"
    yield f"r' = S q - shift = {span.scale:.7g} * {one.code:g} {_minus(span.shift)}"


def _minus(value: float) -> str:
    return f"- {value:.7g}" if value >= 0 else f"+ {-value:.7g}"
