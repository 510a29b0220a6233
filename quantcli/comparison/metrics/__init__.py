"""What is measured: the catalogue of metrics, and the arithmetic behind them."""

from quantcli.comparison.metrics.catalogue import (
    ALWAYS,
    TASKS,
    Metric,
    family,
    find_metric,
    metrics_of,
)

__all__ = ["ALWAYS", "TASKS", "Metric", "family", "find_metric", "metrics_of"]
