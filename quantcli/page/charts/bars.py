"""Bars that compare two models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from quantcli.page.blocks import Chart
from quantcli.page.charts.figure import make_chart

BAR = 44
"""Height of a pair of bars, in CSS pixels."""

ROOM = 1.25
"""The length of the axis over that of the longest bar: its value stands beside it."""


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
    return make_chart(title, f"{sides[0]} and {sides[1]}: {summary}.", figure, height)
