"""The stages of tuning on standard error: a bar for each, and a line for each model tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantcli.cli.terminal.output import print_message, warn
from quantcli.cli.terminal.progress import make_progress, make_steps
from quantcli.text import format_bytes
from quantcli.tuning.stages import Stage, Stages

if TYPE_CHECKING:
    from quantcli.execute import Progress
    from quantcli.tuning.predicting import Choice

_COUNTED: dict[Stage, str] = {
    "calibrating": "samples",
    "measuring": "measurements",
    "comparing": "samples",
}
"""What the progress of a stage counts, if it is not bytes."""


class TerminalStages(Stages):
    """Shows what is done, unless `quiet`."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def progress(self, stage: Stage) -> Progress:
        """Return a bar, or lines, for a stage."""
        if stage in _COUNTED:
            made = make_steps(quiet=self._quiet, what=stage, unit=_COUNTED[stage])
        else:
            made = make_progress(quiet=self._quiet, what=stage)
        return made or super().progress(stage)

    def notice(self, text: str) -> None:
        """Print a warning."""
        if not self._quiet:
            warn([text])

    def trying(self, number: int, choice: Choice) -> None:
        """Say which size is written and compared."""
        if not self._quiet:
            print_message(f"model {number}: {format_bytes(choice.nbytes)}")
