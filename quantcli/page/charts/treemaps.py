"""Where bytes are: a tile for each part of a model, in the module that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from quantcli.page.blocks import Chart
from quantcli.page.charts.figure import LINE, make_chart


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
    return make_chart(title, summary, figure, height)


def _text_colour(colour: str) -> str:
    if colour == INNER:
        return INNER_TEXT
    return "#fff" if colour in LIGHT_TEXT else "#000"


def _id(path: tuple[str, ...]) -> str:
    return escape(f"/{'/'.join(path)}")


def _colour(tile: Tile) -> str:
    return TILE_COLOURS[tile.colour % len(TILE_COLOURS)]
