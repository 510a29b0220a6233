"""Compare in the first way in which the models can be run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from quantcli.comparison.family import UnsuitedError
from quantcli.comparison.prepare import Prepared, fall_back
from quantcli.comparison.run import run

if TYPE_CHECKING:
    from quantcli.comparison.data import Comparison
    from quantcli.execute import Progress


def attempt(
    prepared: Prepared, progress: Progress, check: Callable[[Prepared], None]
) -> Comparison:
    """Run as prepared; where the original cannot be run so, in the next way.

    `check` is called with what is prepared before it is run, and may refuse it. Raises
    `ModelError` where no way is left.
    """
    while True:
        check(prepared)
        try:
            return run(prepared, progress)
        except UnsuitedError as error:
            prepared = fall_back(prepared, error)
