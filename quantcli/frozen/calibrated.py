"""What a calibration found out about the activations of a frozen model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from quantcli.planning import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedActivations:
    """How the activations are quantized, and the samples that their scales are from.

    Of `modules`, which have scales, `outputs` also quantize what they give, and `unused` quantize
    nothing: no sample reached them, or gave them anything but zeros. `momentum` and `streamline`
    are those of Quanto's `Calibration`. `synthetic` samples are random, made from the config.
    """

    qtype: str
    modules: tuple[str, ...]
    outputs: tuple[str, ...]
    unused: tuple[str, ...]
    momentum: float
    streamline: bool
    task: str
    samples: int
    sample_hash: str
    synthetic: bool
    notices: tuple[str, ...] = ()

    def section(self) -> dict[str, Any]:
        """Return what the config says of them."""
        return activations_section(self.qtype, self.modules, self.outputs, self.unused)

    def entry(self) -> dict[str, Any]:
        """Return what the manifest says of them."""
        found = asdict(self)
        del found["notices"]
        return found


def activations_section(
    qtype: str, modules: tuple[str, ...], outputs: tuple[str, ...], unused: tuple[str, ...]
) -> dict[str, Any]:
    """Return what a config says of activations."""
    return {
        "qtype": qtype,
        "modules": [*modules],
        "outputs": [*outputs],
        "unused": [*unused],
    }


def uncalibrated(plan: Plan) -> dict[str, Any] | None:
    """Return what the config of a plan's output says before its calibration; None without one.

    Every module quantizes its input and its output then, as Quanto's own do.
    """
    planned = plan.calibrated
    if not planned:
        return None
    modules = tuple(tensor.module for tensor in planned)
    return activations_section(str(planned[0].activations), modules, modules, ())
