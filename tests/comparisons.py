"""Comparisons that never ran: what gates and reports are tested on."""

from __future__ import annotations

from quantcli.comparison.results import Comparison, Measurement, SideSummary

ORIGINAL = SideSummary(
    model="org/name", revision="abc", architecture="BertModel", fingerprint="f" * 64
)
QUANTIZED = SideSummary(
    model="name-int8",
    revision=None,
    architecture="BertModel",
    fingerprint="e" * 64,
    weights="int8",
)


def measured(value: float | tuple[float, float, float]) -> Measurement:
    """Return an exact measurement, or an estimate from value, low and high."""
    if isinstance(value, tuple):
        return Measurement(value=value[0], low=value[1], high=value[2])
    return Measurement(value=value)


def comparison(
    metrics: dict[str, float | tuple[float, float, float]] | None = None,
    *,
    task: str = "text-embedding",
    **changes,
) -> Comparison:
    """Return a comparison that measured `metrics`."""
    values = {
        "original": ORIGINAL,
        "quantized": QUANTIZED,
        "task": task,
        "samples": 100,
        "sample_hash": "0123456789abcdef" * 4,
        "synthetic": False,
        "seed": 0,
        "metrics": {name: measured(value) for name, value in (metrics or {}).items()},
        "versions": {"quantcli": "0.1.0", "torch": "2.13.0"},
        "seconds": 12.34,
    }
    return Comparison(**(values | changes))
