"""What is measured: the catalogue of metrics, and the arithmetic behind them."""

from quantcli.metrics.catalogue import TASKS, Metric, family, find_metric, metrics_of

__all__ = ["TASKS", "Metric", "family", "find_metric", "metrics_of"]
