"""Progress on standard error: a bar on a terminal, lines in a log, nothing where it is unwanted."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from quantcli.cli.output import print_message

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn, TaskID

    from quantcli.execute import Progress

LOG_SECONDS = 5.0
"""A log gets a line this often, and one at the end."""


def make_progress(*, quiet: bool) -> Progress | None:
    """Return the progress that suits standard error, or None for none."""
    if quiet:
        return None
    return Bar() if sys.stderr.isatty() else Lines()


def make_steps(*, quiet: bool) -> Progress | None:
    """Return the progress of a comparison, counted in samples, or None for none."""
    if quiet:
        return None
    return StepBar() if sys.stderr.isatty() else StepLines()


class Bar:
    """A bar with bytes, speed and the time left."""

    what = "quantizing"

    def __init__(self) -> None:
        self._progress: RichProgress | None = None
        self._task: TaskID | None = None

    def start(self, total: int) -> None:
        """Show the first of `total` bytes."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn(self.what),
            BarColumn(),
            *self._amounts(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
        )
        self._task = self._progress.add_task(self.what, total=total)
        self._progress.start()

    def _amounts(self) -> list[ProgressColumn]:
        from rich.progress import DownloadColumn, TransferSpeedColumn

        return [DownloadColumn(), TransferSpeedColumn()]

    def advance(self, nbytes: int) -> None:
        """Show that `nbytes` more are done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, nbytes)

    def stop(self) -> None:
        """Take the display away."""
        if self._progress is not None:
            self._progress.stop()


class Lines:
    """Plain lines for a log: how far, how fast."""

    def __init__(self) -> None:
        self._total = 0
        self._done = 0
        self._began = 0.0
        self._said = 0.0

    def start(self, total: int) -> None:
        """Show the first of `total` bytes."""
        self._total = total
        self._began = self._said = time.monotonic()

    def advance(self, nbytes: int) -> None:
        """Show that `nbytes` more are done."""
        self._done += nbytes
        now = time.monotonic()
        if self._done >= self._total or now - self._said >= LOG_SECONDS:
            self._said = now
            self._say(now)

    def stop(self) -> None:
        """Leave the lines."""

    def _say(self, now: float) -> None:
        speed = self._done / 1e9 / max(now - self._began, 1e-9)
        share = self._done / self._total if self._total else 1.0
        print_message(
            f"quantizing: {self._done / 1e9:.3f} of {self._total / 1e9:.3f} GB "
            f"({share:.0%}), {speed:.2f} GB/s"
        )


class StepBar(Bar):
    """A bar with samples, of both models together."""

    what = "comparing"

    def _amounts(self) -> list[ProgressColumn]:
        from rich.progress import MofNCompleteColumn

        return [MofNCompleteColumn()]


class StepLines(Lines):
    """Plain lines for a log: how many samples."""

    def _say(self, now: float) -> None:
        print_message(
            f"comparing: {self._done} of {self._total} samples, {now - self._began:.0f} s"
        )
