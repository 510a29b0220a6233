"""An explanation as a picture: heat maps of the slice, each with its numbers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from quantcli.errors import UsageError
from quantcli.explanation.explanation import Comparison, Explanation, Grid
from quantcli.explanation.figures import decibels, largest, rows_of, scaled, texts_of
from quantcli.text import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGEST = 16
"""Maximum rows or columns in a picture: more numbers could not be read."""

CELL = 0.62, 0.34
"""Width and height of a number, in inches."""

AROUND = 1.1, 1.1
"""What a map needs around its numbers, in inches."""

DOTS = 150
"""Dots an inch."""

SIGNED, UNSIGNED = "PuOr", "cividis"
"""Maps that colour-blind eyes tell apart: one with 0 in its middle, one that only grows."""


def check_size(rows: int, columns: int) -> None:
    """Raise `UsageError` if a slice is too large for a picture."""
    if max(rows, columns) > LARGEST:
        raise UsageError(
            f"a picture of {rows} x {columns} values could not be read",
            hint=f"at most {LARGEST} x {LARGEST}: fewer --rows or --columns",
        )


def draw(found: Explanation) -> bytes:
    """Return the picture as a PNG."""
    out = io.BytesIO()
    figure_of(found).savefig(out, format="png", dpi=DOTS, metadata={"Software": None})
    return out.getvalue()


def figure_of(found: Explanation) -> Figure:
    """Return the picture: the slice at each step; the errors of all dtypes in the same colours."""
    from matplotlib.figure import Figure

    values = _values(found)
    errors = [*_errors(found)]
    across = max(len(values), len(errors))
    width = max(len(found.shown_columns) * CELL[0] + AROUND[0], 3.6)
    height = len(found.shown_rows) * CELL[1] + AROUND[1]
    figure = Figure(figsize=(across * width, 2 * height + 1.0), layout="constrained")
    figure.suptitle(_title(found), fontsize=11)
    axes = figure.subplots(2, across, squeeze=False)
    for place, (title, grid, limit) in zip(axes[0], values, strict=False):
        _map(place, found, title, grid, limit)
    limit = largest(*(grid for _, grid in errors))
    for place, (title, grid) in zip(axes[1], errors, strict=False):
        _map(place, found, title, grid, limit)
    for place in (*axes[0][len(values) :], *axes[1][len(errors) :]):
        place.set_axis_off()
    return figure


def _title(found: Explanation) -> str:
    steps = ", ".join(step.formula for step in found.steps[:3]) if found.spans else "a cast"
    name = f"{shorten(found.tensor, 70)} of {shorten(found.model, 60)}"
    return f"{name}\n{found.dtype} to {found.weights}: {steps}"


def _values(found: Explanation) -> list[tuple[str, Grid, float]]:
    """Return title, numbers and colour limit of the maps of the slice. Restored as original."""
    limit = largest(found.original)
    maps = [("original r", found.original, limit)]
    if found.codes is not None:
        step = found.steps[3]
        maps.append((f"{step.title}\n{step.formula}", found.codes, largest(found.codes)))
    back = found.steps[-2]
    return [*maps, (f"{back.title}\n{back.formula}", found.restored, limit)]


def _errors(found: Explanation) -> list[tuple[str, Grid]]:
    return [(_summary(each), each.errors) for each in found.comparisons]


def _summary(compared: Comparison) -> str:
    ratio = "" if compared.sqnr is None else f", SQNR {decibels(compared.sqnr)} dB"
    return (
        f"error of {compared.dtype}\n"
        f"max |e| {compared.max_error:.3g}{ratio}, {compared.bits:.4g} bits a value"
    )


def _map(axes: Axes, found: Explanation, title: str, grid: Grid, limit: float) -> None:
    """Draw one heat map. The integers of an affine format start at 0: their map only grows."""
    are_codes = grid is found.codes
    only_grows = are_codes and found.method == "affine"
    image: Any = axes.imshow(
        grid,
        cmap=UNSIGNED if only_grows else SIGNED,
        vmin=0 if only_grows else -limit,
        vmax=limit,
        aspect="auto",
    )
    numbers = texts_of(found, grid)
    first, *more = title.split("\n")
    axes.set_title("\n".join([f"{first}{numbers.unit}", *more]), fontsize=9)
    axes.set_xticks(range(len(grid[0])), [*map(str, found.shown_columns)], fontsize=7)
    labels = _scales(found) if are_codes else [*map(str, found.shown_rows)]
    axes.set_yticks(range(len(grid)), labels, fontsize=7)
    axes.tick_params(length=0)
    for row, texts in enumerate(rows_of(numbers.texts, len(grid[0]))):
        for column, text in enumerate(texts):
            color = _readable(image.cmap(image.norm(grid[row][column])))
            place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "color": color}
            axes.text(column, row, text, **place)


def _scales(found: Explanation) -> list[str]:
    """Return the labels of the rows of the codes: with S and Z, where a row shows one span."""
    spans = found.spans
    if len(spans) != len(found.shown_rows):
        return [*map(str, found.shown_rows)]
    numbers = scaled([span.scale for span in spans])
    zeros = ["-" if span.zero_point is None else str(span.zero_point) for span in spans]
    unit = numbers.unit.strip(" []").replace("1e", "e")
    return [
        f"{span.row}: S = {text}{unit}\nZ = {zero}"
        for span, text, zero in zip(spans, numbers.texts, zeros, strict=True)
    ]


def _readable(background: Any) -> str:
    """Return black or white, whichever is easier to read on a colour (ITU-R BT.601 luma)."""
    red, green, blue = background[:3]
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
