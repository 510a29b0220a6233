"""Every metric that a comparison can have, as a table, from the catalogue."""

from __future__ import annotations

from quantcli.comparison.metrics import TASKS, family, metrics_of


def metrics() -> str:
    header = ("metric", "what it is", "unit", "better")
    lines = [header, ["---"] * len(header)]
    lines += [
        (f"`{name}`", metric.what, metric.unit, metric.better.replace("neither", ""))
        for name, metric in _catalogue().items()
    ]
    return "\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + "\n"


def _catalogue():
    """Map the name in the catalogue, such as `cosine_*`, to its metric."""
    return {family(metric.name): metric for task in TASKS for metric in metrics_of(task)}
