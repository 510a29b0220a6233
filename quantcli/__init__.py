"""quantcli: quantize a Hugging Face model with Quanto, and prove that it is still the same model.

    plan = quantcli.plan("org/name", weights="int8")
    seen = quantcli.calibrate("org/name", output="name.calibration")
    out = quantcli.quantize("org/name", weights="int8", output="dir")
    model = quantcli.load("dir")
    times = quantcli.bench("dir", against="org/name")
    report = quantcli.compare("org/name", "dir")
    plain = quantcli.dequantize("dir", output="plain")

Nothing heavy is imported until it is used. transformers loads frozen directories wherever this
package is installed: torch imports it, by its entry point.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantcli.errors import (
    MachineError,
    ModelError,
    QuantcliError,
    UsageError,
    VerificationError,
)
from quantcli.loading.registration import install as _install

if TYPE_CHECKING:
    from quantcli.api import Footprint, Frozen, Prediction, compare, inspect, plan, quantize, size
    from quantcli.api.benchmarking import bench
    from quantcli.api.calibrating import Calibrated, calibrate
    from quantcli.api.dequantizing import Dequantized, dequantize
    from quantcli.api.explaining import explain
    from quantcli.api.loading import load
    from quantcli.api.tuning import tune
    from quantcli.benchmarking.results import Benchmark
    from quantcli.comparison.reports import Report
    from quantcli.explanation import Explanation
    from quantcli.inspection import Inspection
    from quantcli.planning import Plan
    from quantcli.recipe import Recipe
    from quantcli.tuning.result import Tuned

    __version__: str

__all__ = [
    "Benchmark",
    "Calibrated",
    "Dequantized",
    "Explanation",
    "Footprint",
    "Frozen",
    "Inspection",
    "MachineError",
    "ModelError",
    "Plan",
    "Prediction",
    "QuantcliError",
    "Recipe",
    "Report",
    "Tuned",
    "UsageError",
    "VerificationError",
    "__version__",
    "bench",
    "calibrate",
    "compare",
    "dequantize",
    "explain",
    "inspect",
    "load",
    "plan",
    "quantize",
    "size",
    "tune",
]

_LAZY = {
    "Benchmark": "quantcli.benchmarking.results",
    "Calibrated": "quantcli.api.calibrating",
    "Dequantized": "quantcli.api.dequantizing",
    "Explanation": "quantcli.explanation",
    "Footprint": "quantcli.api",
    "Frozen": "quantcli.api",
    "Inspection": "quantcli.inspection",
    "Plan": "quantcli.planning",
    "Prediction": "quantcli.api",
    "Recipe": "quantcli.recipe",
    "Report": "quantcli.comparison.reports",
    "Tuned": "quantcli.tuning.result",
    "bench": "quantcli.api.benchmarking",
    "calibrate": "quantcli.api.calibrating",
    "compare": "quantcli.api",
    "dequantize": "quantcli.api.dequantizing",
    "explain": "quantcli.api.explaining",
    "inspect": "quantcli.api",
    "load": "quantcli.api.loading",
    "plan": "quantcli.api",
    "quantize": "quantcli.api",
    "size": "quantcli.api",
    "tune": "quantcli.api.tuning",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("quantcli")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


_install()
