"""One progress for all components of a pipeline."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from quantcli.execute import Progress


class Shared:
    """A context manager that starts a progress, and stops it at the end; None shows nothing."""

    def __init__(self, progress: Progress | None, *, total: int) -> None:
        self._progress = progress
        self._total = total

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start(self._total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def part(self, nbytes: int) -> Progress | None:
        """Return the progress of one component, of whose plan `nbytes` are read."""
        return None if self._progress is None else Part(self._progress, nbytes)


class Part:
    """The progress of one component: what is finished already counts at once."""

    def __init__(self, whole: Progress, nbytes: int) -> None:
        self._whole = whole
        self._nbytes = nbytes

    def start(self, total: int) -> None:
        """Count what an interrupted run has written."""
        self._whole.advance(self._nbytes - total)

    def advance(self, nbytes: int) -> None:
        """Report that `nbytes` more were read and written."""
        self._whole.advance(nbytes)

    def stop(self) -> None:
        """Do nothing: other components may follow."""
