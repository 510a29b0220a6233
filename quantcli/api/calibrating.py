"""Calibrate a model: run it on samples, and store what its weights are multiplied with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.calibrating.request import MAX_TOKENS, CalibrateRequest
from quantcli.calibration.header import is_calibration
from quantcli.errors import UsageError
from quantcli.frozen.staging import check_output_file
from quantcli.paths import expand, model_name
from quantcli.recipe import CalibrationSamples

if TYPE_CHECKING:
    from quantcli.calibrating.make import Making
    from quantcli.calibration import Calibration, Header
    from quantcli.execute import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A calibration file that `calibrate` wrote. Implements `os.PathLike`.

    `weights` is how many weights have a moment, `unreached` names those that no sample reached.
    `passes` is how often all samples were run, 0 if calibrations were added up; `seconds` is the
    time that took.
    """

    output: Path
    header: Header
    nbytes: int
    weights: int
    unreached: tuple[str, ...]
    passes: int
    seconds: float

    def __fspath__(self) -> str:
        return str(self.output)


def calibrate(
    model: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str],
    samples: Mapping[str, Any] | None = None,
    **options: Any,
) -> Calibrated:
    """Run a model on samples, and store the second moments of what its weights are multiplied with.

    `samples` holds keys of a recipe's `[calibration]` table (`task`, `text`, `image`, `audio`,
    `data`, `samples`, `max_tokens`, `seed`, `self_generated`); without any of your own, built-in
    ones are used. `options` are the others of `CalibrateRequest`. Raises `UsageError`, `ModelError`
    or `MachineError`, and then leaves no files behind.
    """
    table = CalibrationSamples.check(samples or {}, origin="samples")
    request = make_calibrate_request(model, Path(expand(output)), table, **options)
    return calibrate_request(request)


def make_calibrate_request(
    model: str | os.PathLike[str], output: Path, samples: CalibrationSamples, **options: Any
) -> CalibrateRequest:
    """Return the request for a model, with checked samples. `options` as in `CalibrateRequest`."""
    return CalibrateRequest(
        model=model_name(model),
        output=output,
        task=samples.task,
        samples=samples.options(),
        max_tokens=samples.max_tokens or MAX_TOKENS,
        self_generated=samples.self_generated,
        **options,
    )


def calibrate_request(
    request: CalibrateRequest,
    *,
    progress: Progress | None = None,
    on_start: Callable[[Making], None] | None = None,
) -> Calibrated:
    """Run a request. `on_start` is called when everything was checked, before the passes."""
    check_output_file(request.output, overwrite=request.overwrite, is_ours=is_calibration)
    from quantcli.calibrating.make import prepare_calibration, write_calibration
    from quantcli.calibration import open_calibration
    from quantcli.execute.run import NoProgress

    making = prepare_calibration(request)
    if on_start is not None:
        on_start(making)
    began = time.perf_counter()
    done = write_calibration(making, request, progress or NoProgress())
    seconds = time.perf_counter() - began
    return _result(open_calibration(request.output), passes=done, seconds=seconds)


def add_calibrations(
    files: Sequence[str | os.PathLike[str]],
    *,
    output: str | os.PathLike[str],
    overwrite: bool = False,
) -> Calibrated:
    """Add up calibrations of one model that were made with different samples.

    Raises `UsageError` for fewer than two files, `ModelError` if they do not belong together.
    """
    target = Path(expand(output))
    if len(files) < 2:
        raise UsageError("--add: give two files or more", hint="quantcli calibrate --add A B -o C")
    check_output_file(target, overwrite=overwrite, is_ours=is_calibration)
    from quantcli.calibrating.add import add
    from quantcli.calibration import open_calibration

    began = time.perf_counter()
    add([open_calibration(expand(file)) for file in files], target, overwrite=overwrite)
    seconds = time.perf_counter() - began
    return _result(open_calibration(target), passes=0, seconds=seconds)


def _result(written: Calibration, *, passes: int, seconds: float) -> Calibrated:
    unreached = written.unreached()
    return Calibrated(
        output=written.path,
        header=written.header,
        nbytes=written.path.stat().st_size,
        weights=len(written.moments) - len(unreached),
        unreached=unreached,
        passes=passes,
        seconds=seconds,
    )
