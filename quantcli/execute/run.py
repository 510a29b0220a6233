"""Write shards in threads: those of a plan, or of other work. Each appears whole or not at all."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from quantcli.calibration import Calibration
from quantcli.errors import MachineError
from quantcli.execute.reading import Readers
from quantcli.execute.shard import ShardFile, layout
from quantcli.execute.tasks import Unit, batches, run_unit, units
from quantcli.execute.workspace import Workspace
from quantcli.files import is_forbidden, is_full, output_error
from quantcli.kinds.layout import Stored
from quantcli.planning import Plan, Source


class Progress(Protocol):
    """Receives how many bytes will be read, and how many were."""

    def start(self, total: int) -> None:
        """Start: `total` bytes will be read."""

    def advance(self, nbytes: int) -> None:
        """Report that `nbytes` more were read and written."""

    def stop(self) -> None:
        """Stop, finished or not."""


class NoProgress:
    """Shows nothing."""

    def start(self, total: int) -> None:
        """Do nothing."""

    def advance(self, nbytes: int) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class RunResult:
    """What running a plan found: rows of zeros that are stored as 0 in float8, by entry."""

    zero_rows: Counter[str] = field(default_factory=Counter)


class Work(Protocol):
    """What a run does: shards, the tensors in each, and the units that fill it.

    `metadata` is written into the header of each shard. A unit has `nbytes`, those that are read
    for it; any thread may do it.
    """

    metadata: Mapping[str, str]

    @property
    def shards(self) -> Sequence[str]:
        """The names of the files."""

    def stored(self, index: int) -> list[Stored]:
        """Return the tensors in one shard."""

    def units(self, index: int) -> Iterable[Any]:
        """Return what fills one shard."""

    def do(self, unit: Any, shard: ShardFile, workspace: Workspace) -> None:
        """Read, compute and write one unit."""


class PlanWork:
    """The work of a plan; `result` is what it found."""

    metadata: Mapping[str, str] = {}

    def __init__(
        self, plan: Plan, readers: Readers, calibration: Calibration | None = None
    ) -> None:
        self._plan = plan
        self._readers = readers
        self._calibration = calibration
        self._lock = threading.Lock()
        self.result = RunResult()

    @property
    def shards(self) -> Sequence[str]:
        """The names of the files."""
        return self._plan.shards

    def stored(self, index: int) -> list[Stored]:
        """Return the tensors in one shard."""
        return [stored for tensor in self._plan.in_shard(index) for stored in tensor.stored]

    def units(self, index: int) -> Iterable[Unit]:
        """Return the units of one shard."""
        for tensor in self._plan.in_shard(index):
            yield from units(tensor, self._readers)

    def do(self, unit: Unit, shard: ShardFile, workspace: Workspace) -> None:
        """Quantize or copy one unit."""
        zero_rows = run_unit(unit, self._readers, shard, workspace, self._calibration)
        if zero_rows:
            with self._lock:
                self.result.zero_rows[unit.tensor.name] += zero_rows


def run_plan(
    plan: Plan,
    source: Source,
    folder: Path,
    *,
    jobs: int,
    progress: Progress | None = None,
    calibration: Calibration | None = None,
) -> RunResult:
    """Write the shards of a plan into `folder`; shards that exist already are left alone.

    `calibration` is the one that the plan was made with.

    Raises `ModelError` if the weights are at fault, `MachineError` if the disk is.
    """
    with Readers(source) as readers:
        readers.prepare()
        work = PlanWork(plan, readers, calibration)
        run_work(work, folder, jobs=jobs, progress=progress)
    return work.result


def run_work(work: Work, folder: Path, *, jobs: int, progress: Progress | None = None) -> None:
    """Write the shards of some work into `folder`; shards that exist already are left alone.

    Raises what the work raises, and `MachineError` if the disk is at fault.
    """
    with one_thread_each():
        _Run(work, folder, progress or NoProgress()).go(jobs)


class _Run:
    """The state that the threads of one run share."""

    def __init__(self, work: Work, folder: Path, progress: Progress) -> None:
        self._work = work
        self._folder = folder
        self._progress = progress
        self._lock = threading.Lock()
        self._local = threading.local()
        self._stopped = threading.Event()
        self._left: Counter[int] = Counter()
        self._files: dict[int, ShardFile] = {}

    def go(self, jobs: int) -> None:
        """Run every shard that does not exist yet."""
        todo = [index for index in range(len(self._work.shards)) if not self._is_done(index)]
        work = {index: list(self._work.units(index)) for index in todo}
        self._left.update({index: len(parts) for index, parts in work.items()})
        self._progress.start(sum(unit.nbytes for parts in work.values() for unit in parts))
        pool = ThreadPoolExecutor(jobs, thread_name_prefix="quantcli")
        try:
            futures = [
                pool.submit(self._do, index, batch)
                for index in todo
                for batch in batches(work[index])
            ]
            self._await(futures)
        finally:
            self._stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
            for shard in self._files.values():
                shard.abandon()
            self._progress.stop()

    def _is_done(self, index: int) -> bool:
        path = self._folder / self._work.shards[index]
        _, _, size = layout(self._work.stored(index), self._work.metadata)
        return path.exists() and path.stat().st_size == size

    @staticmethod
    def _await(futures: list[Future[None]]) -> None:
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()

    def _do(self, index: int, batch: list[Any]) -> None:
        try:
            for unit in batch:
                if self._stopped.is_set():
                    return
                self._work.do(unit, self._shard(index), self._workspace())
                self._done(index, unit.nbytes)
        except OSError as error:
            self._stopped.set()
            raise _machine_error(error, self._folder) from error
        except BaseException as error:
            self._stopped.set()
            if isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error):
                raise MemoryError from error  # what torch has no type for
            raise

    def _workspace(self) -> Workspace:
        if not hasattr(self._local, "workspace"):
            self._local.workspace = Workspace()
        workspace: Workspace = self._local.workspace
        return workspace

    def _shard(self, index: int) -> ShardFile:
        with self._lock:
            if index not in self._files:
                path = self._folder / self._work.shards[index]
                self._files[index] = ShardFile(path, self._work.stored(index), self._work.metadata)
            return self._files[index]

    def _done(self, index: int, nbytes: int) -> None:
        with self._lock:
            self._progress.advance(nbytes)
            self._left[index] -= 1
            finished = self._files.pop(index) if self._left[index] == 0 else None
        if finished is not None:
            finished.finish()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Make torch use one thread in each of ours: blocks are too small to be split again."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _machine_error(error: OSError, folder: Path) -> Exception:
    if is_full(error) or is_forbidden(error):
        return output_error(error, folder.parent)
    return MachineError(f"reading or writing failed: {error}")
