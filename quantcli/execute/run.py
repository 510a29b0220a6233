"""Run the shard tasks of a plan in threads. Each shard appears whole or not at all."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch

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


def run_plan(
    plan: Plan, source: Source, folder: Path, *, jobs: int, progress: Progress | None = None
) -> RunResult:
    """Write the shards of a plan into `folder`; shards that exist already are left alone.

    Raises `ModelError` if the weights are at fault, `MachineError` if the disk is.
    """
    progress = progress or NoProgress()
    with Readers(source) as readers, one_thread_each():
        readers.prepare()
        run = _Run(plan, readers, folder, progress)
        run.go(jobs)
    return run.result


class _Run:
    """The state that the threads of one run share."""

    def __init__(self, plan: Plan, readers: Readers, folder: Path, progress: Progress) -> None:
        self._plan = plan
        self._readers = readers
        self._folder = folder
        self._progress = progress
        self._lock = threading.Lock()
        self._local = threading.local()
        self._stopped = threading.Event()
        self._left: Counter[int] = Counter()
        self._files: dict[int, ShardFile] = {}
        self.result = RunResult()

    def go(self, jobs: int) -> None:
        """Run every shard that does not exist yet."""
        todo = [index for index in range(len(self._plan.shards)) if not self._is_done(index)]
        work = {index: self._units(index) for index in todo}
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

    def _units(self, index: int) -> list[Unit]:
        parts = [
            unit for tensor in self._plan.in_shard(index) for unit in units(tensor, self._readers)
        ]
        self._left[index] = len(parts)
        return parts

    def _is_done(self, index: int) -> bool:
        path = self._folder / self._plan.shards[index]
        _, _, size = layout(self._stored(index))
        return path.exists() and path.stat().st_size == size

    def _stored(self, index: int) -> list[Stored]:
        return [stored for tensor in self._plan.in_shard(index) for stored in tensor.stored]

    @staticmethod
    def _await(futures: list[Future[None]]) -> None:
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()

    def _do(self, index: int, batch: list[Unit]) -> None:
        try:
            for unit in batch:
                if self._stopped.is_set():
                    return
                zero_rows = run_unit(unit, self._readers, self._shard(index), self._workspace())
                self._done(index, unit, zero_rows)
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
                path = self._folder / self._plan.shards[index]
                self._files[index] = ShardFile(path, self._stored(index))
            return self._files[index]

    def _done(self, index: int, unit: Unit, zero_rows: int) -> None:
        with self._lock:
            self._progress.advance(unit.nbytes)
            if zero_rows:
                self.result.zero_rows[unit.tensor.name] += zero_rows
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
