"""The charts of pages, drawn by Plotly. No chart tells its story by colour alone."""

from quantcli.page.charts.bars import Pair, bars
from quantcli.page.charts.heat_maps import heat_map
from quantcli.page.charts.histograms import Axis, histogram
from quantcli.page.charts.treemaps import Tile, treemap

__all__ = ["Axis", "Pair", "Tile", "bars", "heat_map", "histogram", "treemap"]
