"""From a figure of Plotly to a chart of a page."""

from __future__ import annotations

import json
from typing import Any

from quantcli.page.blocks import Chart, Table

LINE = 17
"""Height of a line of text, in CSS pixels."""


def make_chart(
    title: str, summary: str, figure: Any, height: int, table: Table | None = None, width: int = 0
) -> Chart:
    """Return a chart of a `plotly.graph_objects.Figure`; sizes are in CSS pixels."""
    # the template is the page's own, in the colours of its scheme
    figure.update_layout(template=None)
    data = json.loads(figure.to_json())
    data["layout"].pop("template", None)
    return Chart(
        title=title, summary=summary, figure=data, height=height, table=table, least_width=width
    )
