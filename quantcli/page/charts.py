"""The charts of pages, drawn by Plotly. No chart tells its story by colour alone.

Plotly reads some HTML in labels, so they are escaped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from quantcli.page.blocks import Chart, Table
from quantcli.text import plural

BAR = 44
"""Height of a pair of bars, in CSS pixels."""

ROW = 26
"""Height of a row of a heat map, in CSS pixels."""


LINE = 17
"""Height of a line of text, in CSS pixels."""

ROOM = 1.25
"""The length of the axis over that of the longest bar: its value stands beside it."""

CELL, LETTER = 22, 7
"""Minimum width of a cell of a heat map, and that of a letter, in CSS pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A measurement of both models, and how each value is written. The first is not zero."""

    label: str
    values: tuple[float, float]
    shown: tuple[str, str]


def bars(title: str, pairs: Sequence[Pair], sides: tuple[str, str]) -> Chart:
    """Return bars for both sides of each pair, relative to the first, with the values as text."""
    from plotly import graph_objects as go

    labels = [pair.label for pair in pairs]
    lengths = [[value / pair.values[0] for value in pair.values] for pair in pairs]
    longest = max(length for both in lengths for length in both)
    figure = go.Figure()
    for index, side in enumerate(sides):
        figure.add_bar(
            name=side,
            orientation="h",
            y=[*map(escape, labels)],
            x=[both[index] for both in lengths],
            text=[pair.shown[index] for pair in pairs],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{text}<extra>" + side + "</extra>",
            marker_pattern_shape="/" if index else "",
            marker_pattern_fillmode="overlay",
        )
    figure.update_layout(
        barmode="group",
        xaxis={"title": f"relative to {sides[0]}", "range": [0, ROOM * longest]},
        yaxis={"autorange": "reversed"},
    )
    summary = "; ".join(f"{pair.label}: {pair.shown[0]}, then {pair.shown[1]}" for pair in pairs)
    height = 110 + BAR * len(pairs)
    return _chart(title, f"{sides[0]} and {sides[1]}: {summary}.", figure, height)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis of numbers: what is on it, and whether it is logarithmic."""

    title: str
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Return where a value lies on a linear axis."""
        return math.log10(value) if self.logarithmic else value

    def layout(self, low: float, high: float) -> dict[str, Any]:
        """Return Plotly's settings for values from `low` to `high`."""
        if not self.logarithmic:
            return {"title": self.title}
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        step = max(1, len(powers) // 6)
        ticks = [*powers][::step]
        texts = [f"{10.0**power:g}" for power in ticks]
        return {"title": self.title, "tickvals": ticks, "ticktext": texts}


def histogram(
    title: str,
    edges: Sequence[float],
    counts: Sequence[int],
    *,
    axis: Axis,
    marks: Mapping[str, float],
) -> Chart:
    """Return a histogram with a labelled line at each mark. `edges` has one more than `counts`."""
    from plotly import graph_objects as go

    spans = [*pairwise(edges)]
    places = [(axis.at(low), axis.at(high)) for low, high in spans]
    shown = [(f"{low:.6g}", f"{high:.6g}") for low, high in spans]
    figure = go.Figure()
    figure.add_bar(
        x=[(low + high) / 2 for low, high in places],
        y=counts,
        width=[high - low for low, high in places],
        customdata=shown,
        hovertemplate="%{customdata[0]} to %{customdata[1]}: %{y}<extra></extra>",
    )
    drawn = {name: value for name, value in marks.items() if value > 0 or not axis.logarithmic}
    middle = (places[0][0] + places[-1][1]) / 2
    for index, (name, value) in enumerate(drawn.items()):
        figure.add_vline(x=axis.at(value), line_dash=("solid", "dash", "dot")[index % 3])
        figure.add_annotation(
            text=escape(name),
            x=axis.at(value),
            xanchor="right" if axis.at(value) > middle else "left",
            y=1,
            yref="paper",
            yanchor="bottom",
            yshift=LINE * index,
            showarrow=False,
        )
    figure.update_layout(
        bargap=0.02,
        margin={"l": 8, "r": 8, "t": 12 + LINE * len(drawn), "b": 40},
        showlegend=False,
        xaxis=axis.layout(edges[0], edges[-1]),
        yaxis={"title": "count"},
    )
    summary = f"{plural(sum(counts), 'value')} from {edges[0]:.6g} to {edges[-1]:.6g}"
    known = "".join(f"; {name}" for name in marks)
    columns = ("from", "to", "count")
    rows = [(*ends, str(count)) for ends, count in zip(shown, counts, strict=True)]
    table = Table(columns=columns, rows=rows, numbers=frozenset(columns))
    return _chart(title, f"{summary}{known}.", figure, 260, table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A tensor, or several, in a treemap: its place by name, its bytes, and what is written on it.

    `colour` is the index of its colour.
    """

    path: tuple[str, ...]
    nbytes: int
    label: str
    colour: int = 0


TILE_COLOURS = ("#b8bfc7", "#0072b2", "#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#f0e442")
"""Grey for what is not quantized, then Okabe and Ito's colours."""

LIGHT_TEXT = {"#0072b2"}
"""The colours that take white text; the others take black."""

INNER, INNER_TEXT = "#e7eaee", "#24292f"
"""The colours of a module with modules in it; the script changes them in dark mode."""


def treemap(title: str, tiles: Sequence[Tile], *, root: str, summary: str, height: int) -> Chart:
    """Return a treemap: areas are bytes, and tiles lie in the modules that they belong to."""
    from plotly import graph_objects as go

    totals: dict[tuple[str, ...], int] = {(): 0}
    for tile in tiles:
        for depth in range(len(tile.path)):
            totals[tile.path[:depth]] = totals.get(tile.path[:depth], 0) + tile.nbytes
    inner = [path for path in totals if path]
    nodes = [(path, totals[path], "", INNER) for path in inner]
    nodes += [(tile.path, tile.nbytes, tile.label, _colour(tile)) for tile in tiles]
    colours = [INNER, *(colour for *_, colour in nodes)]
    figure = go.Figure(
        go.Treemap(
            ids=["/", *(_id(path) for path, *_ in nodes)],
            labels=[root, *(escape(path[-1]) for path, *_ in nodes)],
            parents=["", *(_id(path[:-1]) for path, *_ in nodes)],
            values=[totals[()], *(nbytes for _, nbytes, *_ in nodes)],
            text=["", *(label for *_, label, _ in nodes)],
            marker={
                "colors": colours,
                "line": {"width": 1},
                "pad": {"t": LINE, "l": 2, "r": 2, "b": 2},
            },
            textfont={"color": [_text_colour(colour) for colour in colours]},
            pathbar={"visible": False},
            branchvalues="total",
            textinfo="label+text",
            hovertemplate="%{id}<br>%{value:,} bytes, %{percentRoot:.1%}<br>%{text}<extra></extra>",
            tiling={"pad": 1},
        )
    )
    figure.update_layout(margin={"l": 0, "r": 0, "t": 0, "b": 0})
    return _chart(title, summary, figure, height)


def _text_colour(colour: str) -> str:
    if colour == INNER:
        return INNER_TEXT
    return "#fff" if colour in LIGHT_TEXT else "#000"


def _id(path: tuple[str, ...]) -> str:
    return escape(f"/{'/'.join(path)}")


def _colour(tile: Tile) -> str:
    return TILE_COLOURS[tile.colour % len(TILE_COLOURS)]


def heat_map(
    title: str,
    values: Sequence[Sequence[float | None]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    scale: str,
    summary: str,
    table: Table | None = None,
) -> Chart:
    """Return a heat map of values with a row of `rows` each; None is left blank.

    `scale` is what the values are. The numbers are written into the cells where they have room.
    """
    from plotly import graph_objects as go

    texts = [["" if value is None else f"{value:.3g}" for value in row] for row in values]
    drawn = [[v if v is not None and math.isfinite(v) else None for v in row] for row in values]
    roomy = len(columns) <= MAX_WRITTEN
    figure = go.Figure(
        go.Heatmap(
            z=drawn,
            x=[*map(escape, columns)],
            y=[*map(escape, rows)],
            text=texts,
            texttemplate="%{text}" if roomy else "",
            hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
            colorscale=LIGHT_SCALE if roomy else "Cividis",
            textfont={"color": "#000"},
            colorbar={
                "title": scale,
                "thickness": 12,
                "orientation": "h",
                "y": 1.02,
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
    return _chart(title, summary, figure, height, table, width)


MAX_WRITTEN = 12
"""Maximum number of columns of a heat map with its numbers in the cells."""

LIGHT_SCALE = ((0, "#8fb8de"), (0.5, "#e6e6e6"), (1, "#ffd84d"))
"""From blue to yellow, all light enough for black numbers."""


def _chart(
    title: str, summary: str, figure: Any, height: int, table: Table | None = None, width: int = 0
) -> Chart:
    # the template is the page's own, in the colours of its scheme
    figure.update_layout(template=None)
    data = json.loads(figure.to_json())
    data["layout"].pop("template", None)
    return Chart(
        title=title, summary=summary, figure=data, height=height, table=table, least_width=width
    )
