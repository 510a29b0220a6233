"""Compare in the first way in which the models can be run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from quantcli.comparison.engine.prepare import Prepared, fall_back
from quantcli.comparison.engine.run import Estimate, run
from quantcli.comparison.families.family import UnsuitedError
from quantcli.errors import UsageError

if TYPE_CHECKING:
    from quantcli.comparison.results import Comparison
    from quantcli.execute import Progress


Check = Callable[[Prepared], None]
"""Raises `UsageError` where what the user asked for does not fit what is prepared."""


def attempt(
    prepared: Prepared, progress: Progress, check: Check, on_estimate: Estimate | None = None
) -> Comparison:
    """Run as prepared and checked; where the original cannot be run so, in the next way.

    Raises what is wrong with the first way, the best, where no other is left.
    """
    try:
        return run(prepared, progress, on_estimate)
    except UnsuitedError as error:
        first = error
        following = _next(prepared, error, check)
    try:
        return attempt(following, progress, check, on_estimate)
    except UnsuitedError:
        raise UnsuitedError(first.message) from None  # its hint is one of the ways that failed


def _next(prepared: Prepared, error: UnsuitedError, check: Check) -> Prepared:
    """Return the next way for which the user's gates and baseline are. Raises `error`."""
    found = fall_back(prepared, error)
    try:
        check(found)
    except UsageError:
        return _next(found, error, check)
    return found
