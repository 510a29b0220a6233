"""What is measured: the catalogue of metrics, and the arithmetic behind them."""

from quantcli.comparison.metrics.catalogue import (
    ALWAYS,
    METRICS,
    any_metric,
    catalogue_name,
    find_metric,
)
from quantcli.comparison.metrics.metric import Metric

__all__ = ["ALWAYS", "METRICS", "Metric", "any_metric", "catalogue_name", "find_metric"]
