"""Two models, the same samples, the difference in numbers."""

from quantcli.comparison.results import (
    Comparison,
    Generated,
    Measurement,
    SideSummary,
    group_names,
)

__all__ = ["Comparison", "Generated", "Measurement", "SideSummary", "group_names"]
