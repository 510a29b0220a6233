"""Compare in the first way in which the models can be run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantcli.comparison.engine.prepare import Prepared, fall_back
from quantcli.comparison.engine.run import Estimate, run
from quantcli.comparison.families.family import UnsuitedError
from quantcli.errors import UsageError

if TYPE_CHECKING:
    from quantcli.comparison.results import Comparison
    from quantcli.execute import Progress


def attempt(
    prepared: Prepared, progress: Progress, on_estimate: Estimate | None = None
) -> Comparison:
    """Run as prepared and checked, or in the next way if the original cannot be run like that.

    If no way works, raises the error of the first one, which is the best.
    """
    try:
        return run(prepared, progress, on_estimate)
    except UnsuitedError as error:
        first = error
        following = _next(prepared, error)
    try:
        return attempt(following, progress, on_estimate)
    except UnsuitedError:
        raise UnsuitedError(first.message) from None  # its hint is a way that also failed


def _next(prepared: Prepared, error: UnsuitedError) -> Prepared:
    """Return the next way that fits the gates and the baseline. Raises `error` without one."""
    found = fall_back(prepared, error)
    try:
        found.check()
    except UsageError:
        return _next(found, error)
    return found
