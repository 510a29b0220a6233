"""How often values occur."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from quantcli.page.blocks import Chart, Table
from quantcli.page.charts.figure import LINE, make_chart
from quantcli.text import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis of numbers: what is on it, and whether it is logarithmic."""

    title: str
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Return where a value lies on a linear axis."""
        return math.log10(value) if self.logarithmic else value

    def has(self, value: float) -> bool:
        """Return whether a value has a place on it."""
        return value > 0 or not self.logarithmic

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
    series: Mapping[str, Sequence[int]],
    *,
    axis: Axis,
    marks: Mapping[str, float],
) -> Chart:
    """Return how many values lie between `edges`, with a labelled line at each of the `marks`.

    `series` maps a name to its counts, one fewer than there are edges: the first is drawn as bars,
    the others as steps over them.
    """
    from plotly import graph_objects as go

    places = [*pairwise(map(axis.at, edges))]
    shown = [(f"{low:.6g}", f"{high:.6g}") for low, high in pairwise(edges)]
    figure = go.Figure()
    for index, (name, counts) in enumerate(series.items()):
        common = {
            "name": name,
            "customdata": shown,
            "hovertemplate": "%{customdata[0]} to %{customdata[1]}: %{y}",
        }
        centers = [(low + high) / 2 for low, high in places]
        if index == 0:
            widths = [high - low for low, high in places]
            figure.add_bar(x=centers, y=counts, width=widths, **common)
        else:
            line = {"shape": "hvh", "dash": "dash" if index > 1 else "solid"}
            figure.add_scatter(x=centers, y=counts, mode="lines", line=line, **common)
    _mark(figure, {name: axis.at(v) for name, v in marks.items() if axis.has(v)}, places)
    figure.update_layout(
        bargap=0.02,
        showlegend=len(series) > 1,
        xaxis=axis.layout(edges[0], edges[-1]),
        yaxis={"title": "count"},
    )
    total = plural(sum(next(iter(series.values()))), "value")
    known = "".join(f"; {name}" for name in marks)
    summary = f"{total} in bins from {edges[0]:.6g} to {edges[-1]:.6g}{known}."
    return make_chart(title, summary, figure, 260, _table(shown, series))


def _mark(figure: Any, marks: Mapping[str, float], places: Sequence[tuple[float, float]]) -> None:
    """Draw a line at each mark, with its name above the chart."""
    middle = (places[0][0] + places[-1][1]) / 2
    for index, (name, place) in enumerate(marks.items()):
        figure.add_vline(x=place, line_dash=("solid", "dash", "dot")[index % 3])
        figure.add_annotation(
            text=escape(name),
            x=place,
            xanchor="right" if place > middle else "left",
            y=1,
            yref="paper",
            yanchor="bottom",
            yshift=LINE * index,
            showarrow=False,
        )
    if marks:
        figure.update_layout(margin={"l": 8, "r": 8, "t": 12 + LINE * len(marks), "b": 40})


def _table(shown: Sequence[tuple[str, str]], series: Mapping[str, Sequence[int]]) -> Table:
    columns = ("from", "to", *series)
    counts = zip(*series.values(), strict=True)
    rows = [(*ends, *map(str, row)) for ends, row in zip(shown, counts, strict=True)]
    return Table(columns=columns, rows=rows, numbers=frozenset(columns))
