"""What tuning is doing: one stage after the other, each with progress of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from quantcli.execute import Progress
    from quantcli.tuning.predicting import Choice

Stage = Literal["calibrating", "measuring", "quantizing", "comparing"]
"""calibrating: the original on samples. measuring: groups of modules, one quantized at a time.
quantizing, comparing: the model of a choice, for real.
"""


class Stages:
    """Told what is done. This one says nothing."""

    def progress(self, stage: Stage) -> Progress:
        """Return what receives the progress of a stage."""
        from quantcli.execute.run import NoProgress

        del stage
        return NoProgress()

    def notice(self, text: str) -> None:
        """Take a message for the user."""

    def trying(self, number: int, choice: Choice) -> None:
        """Take the choice that is written and compared next."""
