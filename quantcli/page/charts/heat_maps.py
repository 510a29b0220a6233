"""Numbers in rows and columns, coloured by their size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from quantcli.page.blocks import Chart, Table
from quantcli.page.charts.figure import make_chart

ROW = 26
"""Height of a row of a heat map, in CSS pixels."""

CELL, LETTER = 22, 7
"""Minimum width of a cell of a heat map, and that of a letter, in CSS pixels."""

MAX_WRITTEN = 12
"""Maximum number of columns of a heat map with its numbers in the cells."""

LIGHT_SCALE = ((0, "#8fb8de"), (0.5, "#e6e6e6"), (1, "#ffd84d"))
"""From blue to yellow, all light enough for black numbers."""


def heat_map(  # noqa: PLR0913 - each says one thing of the picture
    title: str,
    values: Sequence[Sequence[float | None]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    scale: str,
    summary: str,
    table: Table | None = None,
    texts: Sequence[Sequence[str]] | None = None,
    limits: tuple[float, float] | None = None,
) -> Chart:
    """Return a heat map of values with a row of `rows` each; None is left blank.

    `scale` is what the values are. The numbers are written into the cells where they have room, as
    `texts` if there are any. `limits` are the values of the first and the last colour.
    """
    from plotly import graph_objects as go

    if texts is None:
        texts = [["" if value is None else f"{value:.3g}" for value in row] for row in values]
    low, high = limits or (None, None)
    drawn = [[v if v is not None and math.isfinite(v) else None for v in row] for row in values]
    roomy = len(columns) <= MAX_WRITTEN
    figure = go.Figure(
        go.Heatmap(
            z=drawn,
            zmin=low,
            zmax=high,
            x=[*map(escape, columns)],
            y=[*map(escape, rows)],
            text=texts,
            texttemplate="%{text}" if roomy else "",
            hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
            colorscale=LIGHT_SCALE if roomy else "Cividis",
            textfont={"color": "#000"},
            colorbar={
                "title": {"text": scale, "side": "top"},
                "thickness": 12,
                "orientation": "h",
                "y": 1,
                "yanchor": "bottom",
            },
            xgap=1,
            ygap=1,
        )
    )
    figure.update_layout(
        xaxis={"type": "category", "showgrid": False},
        yaxis={"type": "category", "autorange": "reversed", "showgrid": False},
        margin={"l": 8, "r": 8, "t": 80, "b": 40},
    )
    width = LETTER * max(map(len, rows)) + CELL * len(columns)
    height = 130 + ROW * len(rows)
    return make_chart(title, summary, figure, height, table, width)
