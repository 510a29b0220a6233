"""The calibration that a request needs: the one that it names, or one that is made for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from quantcli.api.calibrating import calibrate_request, make_calibrate_request
from quantcli.calibrating.request import CalibrateRequest

if TYPE_CHECKING:
    from quantcli.api.request import Request
    from quantcli.calibration import Calibration
    from quantcli.checkpoint import Checkpoint
    from quantcli.pipelines.pipeline import Pipeline
    from quantcli.planning import Plan

Calibrate = Callable[[CalibrateRequest], object]
"""Makes the calibration that is asked for."""


@contextmanager
def calibration_for(
    request: Request,
    decided: Plan,
    checkpoint: Checkpoint | Pipeline,
    output: Path,
    make: Calibrate = calibrate_request,
) -> Iterator[Calibration | None]:
    """Give the calibration that a plan is run with, None if it needs none.

    Without a file in the request, `make` makes one beside `output`. It is kept if the user
    interrupts, so that the next run need not make it again, and removed in any other case.
    Raises `ModelError` if a file was made from another model.
    """
    if not any(tensor.optimizer == "gptq" for tensor in decided.quantized):
        yield None
        return
    from quantcli.checkpoint import Checkpoint

    assert isinstance(checkpoint, Checkpoint)  # a pipeline has no such plan
    if request.calibration is not None:
        yield _opened(request.calibration, checkpoint)
        return
    asked = request_for(request, output)
    if not asked.output.exists():
        make(asked)
    try:
        yield _opened(asked.output, checkpoint)
    except KeyboardInterrupt:
        raise
    except BaseException:
        asked.output.unlink(missing_ok=True)
        raise
    asked.output.unlink(missing_ok=True)


def request_for(request: Request, output: Path) -> CalibrateRequest:
    """Return the request for the calibration that a request to quantize needs."""
    made = make_calibrate_request(
        request.model,
        output,
        request.recipe.calibration,
        revision=request.revision,
        trust_remote_code=request.trust_remote_code,
        show_downloads=request.show_downloads,
        class_name=request.class_name,
    )
    digest = hashlib.sha256(repr(made).encode()).hexdigest()[:12]
    beside = output.resolve()
    return replace(made, output=beside.with_name(f".{beside.name}.calibration-{digest}"))


def _opened(path: Path, checkpoint: Checkpoint) -> Calibration:
    from quantcli.calibration import open_calibration

    found = open_calibration(path)
    found.check(checkpoint)
    return found
