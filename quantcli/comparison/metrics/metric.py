"""The record of a metric: what it is, its range, which direction is better, how it is printed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric, or one per output of the model: a `*` in `name` stands for the output.

    `minimum` and `maximum` bound its values. `better` is the direction of a better result;
    "neither" is for what describes one model alone. Reports print `decimals` digits after the
    point, or 3 significant digits if it is None. `ratio` names the metric that divides the
    quantized model's value by this one of the original.
    """

    name: str
    description: str
    better: Better = "neither"
    minimum: float = 0.0
    maximum: float = math.inf
    unit: str = ""
    decimals: int | None = None
    ratio: str = ""

    def of_output(self, output: str) -> Metric:
        """Return the metric of one output."""
        return replace(self, name=self.name.replace("*", output))
