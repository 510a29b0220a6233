"""Progress on standard error: a bar on a terminal, lines in a log, nothing with --quiet."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from quantcli.cli.terminal.output import print_message
from quantcli.cli.terminal.streams import can_redraw, width_of

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn, TaskID

    from quantcli.execute import Progress

LOG_SECONDS = 5.0
"""The time between two lines in a log; the last line comes at the end."""

WIDE = 90
"""On a narrower terminal the bar takes the space that is left."""


def make_progress(*, quiet: bool, what: str = "quantizing") -> Progress | None:
    """Return a bar if standard error can redraw one, else lines; None if `quiet`.

    `what` says what is done to the bytes that are counted.
    """
    if quiet:
        return None
    return Bar(what) if can_redraw(sys.stderr) else Lines(what)


def make_steps(*, quiet: bool, what: str = "comparing", unit: str = "samples") -> Progress | None:
    """Return the same for what is counted in samples, or in another `unit`."""
    if quiet:
        return None
    return StepBar(what) if can_redraw(sys.stderr) else StepLines(what, unit)


class Bar:
    """A bar with bytes, speed and remaining time."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._progress: RichProgress | None = None
        self._task: TaskID | None = None

    def start(self, total: int) -> None:
        """Begin: `total` bytes are to be done."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        # a line that is wider than the terminal cannot be redrawn
        width = width_of(sys.stderr)
        shown = (column for least, column in self._amounts() if width >= least)
        self._progress = Progress(
            TextColumn(self.what),
            BarColumn(bar_width=None if width < WIDE else 40),
            *shown,
            console=Console(file=sys.stderr, force_terminal=True),
            transient=True,
        )
        self._task = self._progress.add_task(self.what, total=total)
        self._progress.start()

    def _amounts(self) -> list[tuple[int, ProgressColumn]]:
        """Return what stands after the bar, and how wide the terminal must be for each."""
        from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

        return [(35, DownloadColumn()), (60, TransferSpeedColumn()), (45, TimeRemainingColumn())]

    def advance(self, nbytes: int) -> None:
        """Show that `nbytes` more are done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, nbytes)

    def stop(self) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()


class Lines:
    """Lines for a log: bytes done, and speed."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._total = 0
        self._done = 0
        self._began = 0.0
        self._printed = 0.0

    def start(self, total: int) -> None:
        """Begin: `total` bytes are to be done."""
        self._total = total
        self._began = self._printed = time.monotonic()

    def advance(self, nbytes: int) -> None:
        """Show that `nbytes` more are done."""
        self._done += nbytes
        now = time.monotonic()
        if self._done >= self._total or now - self._printed >= LOG_SECONDS:
            self._printed = now
            self._print(now)

    def stop(self) -> None:
        """Do nothing: the lines stay."""

    def _print(self, now: float) -> None:
        speed = self._done / 1e9 / max(now - self._began, 1e-9)
        share = self._done / self._total if self._total else 1.0
        print_message(
            f"{self.what}: {self._done / 1e9:.3f} of {self._total / 1e9:.3f} GB "
            f"({share:.0%}), {speed:.2f} GB/s"
        )


class StepBar(Bar):
    """A bar that counts the samples of both models, or of all passes."""

    def _amounts(self) -> list[tuple[int, ProgressColumn]]:
        from rich.progress import MofNCompleteColumn, TimeRemainingColumn

        return [(30, MofNCompleteColumn()), (45, TimeRemainingColumn())]


class StepLines(Lines):
    """Lines for a log: samples done, or what else is counted, and time."""

    def __init__(self, what: str, unit: str = "samples") -> None:
        super().__init__(what)
        self.unit = unit

    def _print(self, now: float) -> None:
        print_message(
            f"{self.what}: {self._done} of {self._total} {self.unit}, {now - self._began:.0f} s"
        )
