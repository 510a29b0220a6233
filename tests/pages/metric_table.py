"""Every metric that a comparison can have, as a table, from the catalogue."""

from __future__ import annotations

from pages.markdown import table
from quantcli.comparison.metrics import catalogue_name
from quantcli.comparison.tasks import TASKS


def metrics() -> str:
    rows = [
        (f"`{name}`", metric.description, metric.unit, metric.better.replace("neither", ""))
        for name, metric in _catalogue().items()
    ]
    return table(("metric", "what it is", "unit", "better"), *rows)


def _catalogue():
    """Map the name in the catalogue, such as `cosine_*`, to its metric."""
    return {
        catalogue_name(metric.name): metric for task in TASKS.values() for metric in task.measured
    }
