"""Which second moment a weight is rounded by, with the optimizer "gptq"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantcli.errors import ModelError

if TYPE_CHECKING:
    from quantcli.calibration import Calibration, Moment
    from quantcli.skeleton import WeightModule

OPTIMIZER = "gptq"

UNREACHED = "no sample reached it: rounded plainly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """How a weight in a grouped format is rounded: the optimizer, the moment, and a reason.

    Without a moment all values of a row count the same.
    """

    optimizer: str
    moment: str | None = None
    reason: str = ""


def find_rounding(
    calibration: Calibration | None,
    module: WeightModule,
    name: str,
    shape: tuple[int, ...],
) -> Rounding:
    """Return how the weight `name` of a module is rounded.

    `shape` is that in which it is quantized, rows first. Without a calibration, which is made
    before the plan is run, all that can be said is the optimizer.
    Raises `ModelError` if the moment is of another shape.
    """
    kind = module.kind
    assert kind is not None, name
    if calibration is None:
        return Rounding(optimizer=OPTIMIZER)
    moment = calibration.moments.get(name)
    if moment is None:
        if kind.multiplies_rows:
            return Rounding(optimizer="max", reason=UNREACHED)
        return Rounding(optimizer=OPTIMIZER)
    _check(calibration, moment, name, shape)
    missed = sum(rows == 0 for rows in moment.rows)
    if missed == moment.matrices:
        return Rounding(optimizer="max", reason=UNREACHED)
    reason = ""
    if missed:
        reason = f"no sample reached {missed} of its {moment.matrices} parts: rounded plainly"
    return Rounding(optimizer=OPTIMIZER, moment=moment.name, reason=reason)


def _check(calibration: Calibration, moment: Moment, name: str, shape: tuple[int, ...]) -> None:
    columns = math.prod(shape[1:])
    if moment.columns != columns or shape[0] % moment.matrices:
        raise ModelError(
            f"{calibration.path} does not fit: {name} has rows of {columns} values, and its moment "
            f"is {moment.columns} x {moment.columns}",
            hint=f"it was made from {calibration.header.origin}: calibrate this model",
        )
