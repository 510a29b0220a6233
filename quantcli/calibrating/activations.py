"""The scales of quantized activations: Quanto's own calibration, of a model that is frozen."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from quantcli.calibrating.feeding import Fed, fall_back, feed
from quantcli.calibrating.request import MAX_TOKENS
from quantcli.comparison.engine.sides import Side
from quantcli.comparison.families.family import UnsuitedError
from quantcli.comparison.results import SideSummary
from quantcli.errors import ModelError, UsageError
from quantcli.frozen.calibrated import CalibratedActivations
from quantcli.kinds.activations import QuantizesActivations
from quantcli.kinds.layout import ACTIVATION_SCALES
from quantcli.text import plural, some

if TYPE_CHECKING:
    from quantcli.execute import Progress
    from quantcli.planning import Plan, Source
    from quantcli.recipe import CalibrationSamples

MOMENTUM, STREAMLINE = 0.9, True
"""The defaults of Quanto's `Calibration`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """What a calibration gives: the values of the stored scales by name, and what is said of it."""

    values: Mapping[str, torch.Tensor]
    calibrated: CalibratedActivations


def feed_samples(
    source: Source, plan: Plan, table: CalibrationSamples, *, trust_remote_code: bool = False
) -> Fed:
    """Make the inputs to calibrate with from the samples of a table, before anything is written.

    Raises `UsageError` for samples that do not fit or give no tokens.
    """
    if table.self_generated:
        raise UsageError(
            "self_generated: activations are calibrated on samples that are given, or built in",
            hint="leave it out of [calibration]",
        )
    folder = source.checkpoint.path("config.json").parent
    side = replace(
        _side(folder, plan, trust_remote_code=trust_remote_code),
        config=source.checkpoint.config,
        model_class=type(source.skeleton.model),
    )
    return feed(side, table.options(), task=table.task, max_tokens=table.max_tokens or MAX_TOKENS)


def calibrate_activations(folder: Path, plan: Plan, fed: Fed, *, progress: Progress) -> Scales:
    """Run the model in a folder, whose scales are not calibrated.

    The weights are the quantized ones, as when Quanto calibrates. Raises `ModelError` if the model
    cannot be run, or gives values that are not finite.
    """
    side = _side(folder, plan, trust_remote_code=fed.side.trust_remote_code)
    while True:
        model = load_uncalibrated(side)
        before = {name: module.input_scale for name, module in scaled_modules(model).items()}
        try:
            calibrate(fed, model, progress)
            return read_scales(model, plan, fed, before)
        except UnsuitedError as error:
            fed = _next(fed, error)
        finally:
            del model
            gc.collect()  # modules refer to each other


def load_uncalibrated(side: Side) -> Any:
    """Load a model with every scale 1, as Quanto begins: an interrupted run stored others."""
    model = side.load("cpu")
    for module in scaled_modules(model).values():
        for name in ACTIVATION_SCALES:
            setattr(module, name, torch.ones_like(getattr(module, name)))
    return model


def calibrate(fed: Fed, model: Any, progress: Progress) -> None:
    """Run a model on inputs within Quanto's `Calibration`, which sets its scales.

    Raises `UnsuitedError` if it cannot be run on them.
    """
    from optimum.quanto import Calibration as QuantoCalibration

    progress.start(len(fed.feeds))
    try:
        with torch.no_grad(), QuantoCalibration(momentum=MOMENTUM, streamline=STREAMLINE):
            for index in range(len(fed.feeds)):
                fed.run(model, index)
                progress.advance(1)
    finally:
        progress.stop()


def scaled_modules(model: Any) -> dict[str, Any]:
    """Return the modules that quantize their activations, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, QuantizesActivations) and module.quantizes_activations
    }


def read_scales(model: Any, plan: Plan, fed: Fed, before: Mapping[str, torch.Tensor]) -> Scales:
    """Read the scales of a calibrated model; `before` are those of inputs as they were before.

    Raises `ModelError` for one that is not finite.
    """
    modules = scaled_modules(model)
    values = {
        f"{name}.{scale}": getattr(module, scale)
        for name, module in modules.items()
        for scale in ACTIVATION_SCALES
    }
    _check_finite(plan, values)
    # Quanto replaces the scales of the modules that it calibrates
    unused = tuple(
        name
        for name, module in modules.items()
        if module.input_scale is before[name] or not bool(module.input_scale)
    )
    outputs = [name for name, module in modules.items() if _quantizes_output(module)]
    calibrated = CalibratedActivations(
        qtype=str(plan.calibrated[0].activations),
        modules=tuple(modules),
        outputs=tuple(name for name in outputs if name not in unused),
        unused=unused,
        momentum=MOMENTUM,
        streamline=STREAMLINE,
        task=fed.task,
        samples=len(fed.feeds),
        sample_hash=fed.sample_hash,
        synthetic=fed.synthetic,
        notices=(*fed.notices, *_notices(unused)),
    )
    return Scales(values=values, calibrated=calibrated)


def _quantizes_output(module: Any) -> bool:
    return not module.output_kept and bool(module.output_scale)


def _check_finite(plan: Plan, values: Mapping[str, torch.Tensor]) -> None:
    broken = [name for name, scale in values.items() if not bool(scale.isfinite())]
    if not broken:
        return
    module, _, which = broken[0].rpartition(".")
    verb = "gets" if which == ACTIVATION_SCALES[0] else "gives"
    raise ModelError(
        f"the activations of {plan.model} cannot be calibrated: "
        f"{module} {verb} values that are not finite",
        hint="leave out --activations, or choose another dtype with --rest",
    )


def _notices(unused: tuple[str, ...]) -> list[str]:
    if not unused:
        return []
    count = plural(len(unused), "module")
    why = "no sample gave them anything but zeros"
    return [f"the activations of {count} are not quantized: {why} ({some(unused)})"]


def _next(fed: Fed, error: UnsuitedError) -> Fed:
    """Make the inputs for the next way to run a model. Raises `ModelError` if there is none."""
    try:
        return fall_back(fed, error)
    except UnsuitedError as last:
        raise ModelError(last.message, hint="leave out --activations") from error


def _side(folder: Path, plan: Plan, *, trust_remote_code: bool) -> Side:
    """Describe the model of a plan in a folder, which need not be complete yet."""
    return Side(
        folder=folder,
        config={},
        nbytes=plan.nbytes,
        parameters=plan.parameters,
        coverage=plan.coverage,
        summary=SideSummary(
            model=plan.model,
            revision=plan.revision,
            architecture=plan.architecture,
            fingerprint="",
            weights=plan.weights,
        ),
        model_class=None,
        trust_remote_code=trust_remote_code,
    )
