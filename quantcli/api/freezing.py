"""Quantize a model into a frozen directory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.api.calibrating import calibrate_request
from quantcli.api.calibration import Calibrate, calibration_for
from quantcli.api.request import Request, check_plan, decide, make_request, plan_request, read_model
from quantcli.frozen.staging import Staging, check_output, digest_of, machine_errors
from quantcli.paths import expand

if TYPE_CHECKING:
    from quantcli.calibrating.feeding import Fed
    from quantcli.calibration import Calibration
    from quantcli.execute import Progress
    from quantcli.frozen.calibrated import CalibratedActivations
    from quantcli.pipelines.source import PipelineSource
    from quantcli.planning import Plan, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A frozen directory that `quantize` wrote. Implements `os.PathLike`.

    `seconds` is the time of running the plan, from the first read to the last complete shard, and
    of calibrating the activations. `zero_rows` counts the rows of zeros that are stored as 0 in
    float8, by tensor. `activations` is how those are quantized, None if they are not.
    """

    output: Path
    plan: Plan
    seconds: float
    zero_rows: dict[str, int]
    activations: CalibratedActivations | None = None

    def __fspath__(self) -> str:
        return str(self.output)


def quantize(
    model: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    **options: Any,
) -> Frozen:
    """Quantize a model and write a frozen directory.

    `output` is by default `./<name>-<weights>`; `jobs` is the number of threads, by default one per
    core. `options` are those of `make_request`. Raises `UsageError`, `ModelError` or
    `MachineError`, and then leaves no files behind.
    """
    request = make_request(model, **options)
    return quantize_request(request, output=output, overwrite=overwrite, jobs=jobs)


def default_output(request: Request) -> Path:
    """Return `./<name>-<weights>`; the name is that of the Hub repo or of the folder."""
    name = request.model.partition("@")[0]
    if Path(request.model).exists():
        name = os.path.abspath(request.model)  # noqa: PTH100 - a link keeps its own name
    return Path(f"{Path(name).name}-{request.recipe.weights}")


def quantize_request(  # noqa: PLR0913 - what the command line shows goes in by callbacks
    request: Request,
    *,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
    steps: Progress | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    calibrate: Calibrate = calibrate_request,
) -> Frozen:
    """Run a request. `on_plan` is called with the plan before it is run.

    `progress` counts bytes, and `steps` the samples that activations are calibrated with. Where a
    calibration is needed and none was given, `calibrate` makes one first.
    """
    target = Path(expand(output)) if output is not None else default_output(request)
    check_output(target, overwrite=overwrite)
    asked = _Asked(request, target, overwrite, jobs or os.cpu_count() or 1, progress, steps)
    decided, source = _plan_and_fetch(request, on_plan)
    with calibration_for(request, decided, source.checkpoint, target, calibrate) as calibration:
        if calibration is not None:
            decided = _calibrated(request, source, calibration)
        return _freeze(asked, decided, source, calibration)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, where its output goes, and how it is run."""

    request: Request
    target: Path
    overwrite: bool
    jobs: int
    progress: Progress | None
    steps: Progress | None


def _freeze(
    asked: _Asked,
    decided: Plan,
    source: Source | PipelineSource,
    calibration: Calibration | None,
) -> Frozen:
    """Write the directory of a plan."""
    fed = _feed(asked.request, decided, source)
    staging = Staging(
        asked.target,
        digest=_digest(decided, source),
        needed=_needed(decided, source),
        overwrite=asked.overwrite,
    )
    with staging:
        began = time.perf_counter()
        zero_rows = _run(decided, source, staging.folder, asked.jobs, asked.progress, calibration)
        activations = _find_scales(asked, decided, source, staging.folder, fed)
        seconds = time.perf_counter() - began
        with machine_errors(asked.target):
            _write_rest(decided, source, staging.folder, zero_rows, activations)
        staging.commit()
    return Frozen(
        output=asked.target,
        plan=decided,
        seconds=seconds,
        zero_rows=zero_rows,
        activations=activations,
    )


def _feed(request: Request, decided: Plan, source: Source | PipelineSource) -> Fed | None:
    """Make the inputs that activations are calibrated with, None if they are not quantized."""
    from quantcli.planning import Source

    if not (decided.calibrated and isinstance(source, Source)):
        return None
    from quantcli.calibrating.activations import feed_samples

    table, trusted = request.recipe.calibration, request.trust_remote_code
    return feed_samples(source, decided, table, trust_remote_code=trusted)


def _find_scales(
    asked: _Asked,
    decided: Plan,
    source: Source | PipelineSource,
    folder: Path,
    fed: Fed | None,
) -> CalibratedActivations | None:
    """Calibrate the activations of what was written, and write their scales among the weights."""
    from quantcli.planning import Source

    if fed is None or not isinstance(source, Source):
        return None
    from quantcli.calibrating.activations import calibrate_activations
    from quantcli.execute.run import NoProgress
    from quantcli.execute.scales import write_scales
    from quantcli.frozen.write import write_loadable

    with machine_errors(asked.target):
        write_loadable(folder, decided, source.checkpoint)
    found = calibrate_activations(folder, decided, fed, progress=asked.steps or NoProgress())
    with machine_errors(asked.target):
        write_scales(folder, decided, found.values)
    return found.calibrated


def _run(
    decided: Plan,
    source: Source | PipelineSource,
    folder: Path,
    jobs: int,
    progress: Progress | None,
    calibration: Calibration | None,
) -> dict[str, int]:
    """Write the weights; return how many rows of zeros there are, by tensor."""
    from quantcli.planning import Source

    if isinstance(source, Source):
        from quantcli.execute import run_plan  # imports Quanto: only once the model was found

        found = run_plan(
            decided, source, folder, jobs=jobs, progress=progress, calibration=calibration
        )
        return dict(found.zero_rows)
    from quantcli.pipelines.plan import PipelinePlan
    from quantcli.pipelines.write import run_pipeline

    assert isinstance(decided, PipelinePlan)
    return run_pipeline(decided, source, folder, jobs=jobs, progress=progress)


def _write_rest(
    decided: Plan,
    source: Source | PipelineSource,
    folder: Path,
    zero_rows: Mapping[str, int],
    activations: CalibratedActivations | None,
) -> None:
    """Write everything except the weights."""
    from quantcli.planning import Source

    if isinstance(source, Source):
        from quantcli.frozen.write import write_metadata

        write_metadata(
            folder, decided, source.checkpoint, zero_rows=zero_rows, activations=activations
        )
        return
    from quantcli.pipelines.plan import PipelinePlan
    from quantcli.pipelines.write import write_pipeline

    assert isinstance(decided, PipelinePlan)
    write_pipeline(folder, decided, source, zero_rows=zero_rows)


def _plan_and_fetch(
    request: Request, on_plan: Callable[[Plan], None] | None
) -> tuple[Plan, Source | PipelineSource]:
    """Plan a request, and fetch the weights.

    A plan that was made from samples of the weights is made again from all of them.
    """
    decided, source = plan_request(request)
    check_plan(request, decided)
    if on_plan is not None:
        on_plan(decided)
    source.checkpoint.fetch()
    if source.sampled:
        source = read_model(request, source.checkpoint, here=True)
        decided = decide(request, source)
    return decided, source


def _calibrated(
    request: Request, source: Source | PipelineSource, calibration: Calibration
) -> Plan:
    """Return the plan of a request with its calibration."""
    decided = decide(request, source, calibration)
    return replace(decided, calibration=calibration.described())


def _digest(decided: Plan, source: Source | PipelineSource) -> str:
    checkpoint = source.checkpoint
    files = {file: checkpoint.path(file) for file in checkpoint.weight_files}
    return digest_of(decided.digest(), files)


def _needed(decided: Plan, source: Source | PipelineSource) -> int:
    side = sum(path.stat().st_size for _, path in source.checkpoint.side_files())
    return decided.nbytes + side
