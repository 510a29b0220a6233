"""Find the smallest model that meets a target, or the best one of a size; write its recipe."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.api.calibrating import calibrate_request, make_calibrate_request
from quantcli.api.request import Request, make_request
from quantcli.calibration import open_calibration
from quantcli.comparison.gates import Gate, gates_of
from quantcli.errors import UsageError
from quantcli.files import check_writable, write_report
from quantcli.frozen.staging import check_output_file
from quantcli.paths import expand
from quantcli.recipe import CalibrationSamples, Compare
from quantcli.recipe.tables import GateOptions
from quantcli.tuning.candidates import DEFAULT, Candidate, parse_candidates
from quantcli.tuning.document import is_tuned
from quantcli.tuning.stages import Stages

if TYPE_CHECKING:
    from quantcli.calibration import Calibration
    from quantcli.tuning.result import Tuned


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneRequest:
    """What is wanted of a model, and what its modules may become.

    Either `gates` say what the smallest model must meet, or `max_size_ratio` how large the best
    one may be. `samples` are what `compare` measures with; the search has samples of its own.
    `calibration` and `cache` are files.
    """

    base: Request
    gates: tuple[Gate, ...] = ()
    max_size_ratio: float | None = None
    candidates: tuple[Candidate, ...]
    optimizer: str = "gptq"
    calibration: str | None = None
    cache: Path | None = None
    samples: Compare = field(default_factory=Compare)

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.base.model


def make_tune_request(  # noqa: PLR0913 - each is an option of the command line
    model: str | os.PathLike[str],
    *,
    gates: tuple[str, ...] = (),
    max_size_ratio: float | None = None,
    candidates: str = DEFAULT,
    optimizer: str = "gptq",
    calibration: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    samples: Compare | None = None,
    **options: Any,
) -> TuneRequest:
    """Return the request to tune a model.

    `gates` are conditions such as `kl_mean<=0.02`; `options` are those of `make_request` that do
    not choose dtypes: `revision`, `trust_remote_code`, `show_downloads`. Raises `UsageError` unless
    exactly one of `gates` and `max_size_ratio` is given.
    """
    table = GateOptions.check({"gate": gates, "max_size_ratio": max_size_ratio}, origin=None)
    if bool(gates) == (max_size_ratio is not None):
        raise UsageError(
            "give either --gate or --max-size-ratio",
            hint="a gate may limit the size too: --gate 'size_ratio<=0.3'",
        )
    return TuneRequest(
        base=make_request(model, **options),
        gates=gates_of(table.given),
        max_size_ratio=max_size_ratio,
        candidates=parse_candidates(candidates),
        optimizer=optimizer,
        calibration=None if calibration is None else expand(calibration),
        cache=None if cache is None else Path(expand(cache)),
        samples=samples or Compare(),
    )


def tune(
    model: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str],
    overwrite: bool = False,
    jobs: int | None = None,
    samples: Mapping[str, Any] | None = None,
    **options: Any,
) -> Tuned:
    """Find a dtype for every module, and write them as a recipe.

    `output` is the recipe's file. `samples` holds keys of a recipe's `[compare]` table; `options`
    are the others of `make_tune_request`. If the gates cannot be met, the recipe is that of the
    closest model, and `met` is false. Raises `UsageError`, `ModelError`, `MachineError`.
    """
    request = make_tune_request(
        model, samples=Compare.check(samples or {}, origin="samples"), **options
    )
    return tune_request(request, output=output, overwrite=overwrite, jobs=jobs)


def tune_request(
    request: TuneRequest,
    *,
    output: str | os.PathLike[str],
    overwrite: bool = False,
    jobs: int | None = None,
    stages: Stages | None = None,
) -> Tuned:
    """Tune as requested; `stages` is told what is being done."""
    target, stages = Path(expand(output)), stages or Stages()
    check_output_file(target, overwrite=overwrite, is_ours=is_tuned)
    check_writable(target)
    from quantcli.api.searching import Search, find, open_subject
    from quantcli.tuning.summary import sum_up

    if request.calibration is not None:
        open_calibration(request.calibration)
    subject = open_subject(request)
    for notice in subject.fed.notices:
        stages.notice(notice)
    with calibration_of(request, stages) as calibration:
        threads = jobs or os.cpu_count() or 1
        search = Search(request, subject, calibration, jobs=threads, stages=stages)
        trial, correction = find(search)
        found = sum_up(subject.menu, correction, trial, target, subject.source.checkpoint.revision)
        write_report(target, search.document(found, trial))
    return found


@contextmanager
def calibration_of(request: TuneRequest, stages: Stages) -> Iterator[Calibration]:
    """Give the calibration of a request, or one that is made for it and then removed.

    Raises `ModelError` if the file was made from another model.
    """
    if request.calibration is not None:
        yield open_calibration(request.calibration)
        return
    with tempfile.TemporaryDirectory(prefix="quantcli-") as folder:
        asked = make_calibrate_request(
            request.model,
            Path(folder) / "calibration",
            CalibrationSamples(task=request.samples.task),
            revision=request.base.revision,
            trust_remote_code=request.base.trust_remote_code,
        )
        calibrate_request(asked, progress=stages.progress("calibrating"))
        yield open_calibration(asked.output)
