"""The distributions behind the metrics: a histogram of the values that each is the mean of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from quantcli.comparison.metrics import any_metric
from quantcli.comparison.reports.numbers import show
from quantcli.comparison.reports.report import Report
from quantcli.page import Chart
from quantcli.page.charts import Axis, histogram

FEWEST = 8
"""Minimum number of values for a histogram."""

BINS = 40
"""Maximum number of bins."""

WIDE = 100.0
"""From this ratio of the largest to the smallest positive value on, the axis is logarithmic."""

DECADES = 1e8
"""The largest value over the smallest on a logarithmic axis."""


def distribution_charts(report: Report) -> Iterator[Chart]:
    """Yield a histogram for each metric that is a mean of enough different values."""
    gates = report.judgement.verdicts
    for name, measured in report.comparison.metrics.items():
        values = [value for value in measured.observed if math.isfinite(value)]
        if len(values) < FEWEST or len({*values}) <= 2:
            continue
        marks = {f"mean {show(name, measured.value)}": measured.value}
        limits = [gate for gate in gates if gate.metric == name]
        marks |= {f"gate {gate.operator} {gate.limit:g}": gate.limit for gate in limits}
        yield _chart(name, values, marks)


def _chart(name: str, values: list[float], marks: Mapping[str, float]) -> Chart:
    import numpy as np

    metric = any_metric(name)
    unit = f", {metric.unit}" if metric.unit else ""
    axis = Axis(title=f"{name}{unit}", logarithmic=_is_wide(values))
    bins = min(BINS, max(FEWEST, round(2 * len(values) ** 0.5)))
    edges = _log_edges(values, bins) if axis.logarithmic else np.histogram_bin_edges(values, bins)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    title = f"{name}: {metric.description}"
    shown = {"count": counts.tolist()}
    return histogram(title, [*map(float, edges)], shown, axis=axis, marks=marks)


def _is_wide(values: list[float]) -> bool:
    """Return whether the values are not negative, and spread over orders of magnitude."""
    positive = [value for value in values if value > 0]
    return min(values) >= 0 and max(values) > WIDE * min(positive, default=math.inf)


def _log_edges(values: list[float], bins: int) -> list[float]:
    """Return edges on a logarithmic axis. The first bin also takes what is too small to matter."""
    import numpy as np

    high = max(values)
    low = max(min(value for value in values if value > 0), high / DECADES)
    return [*map(float, np.geomspace(low, high, bins + 1))]
