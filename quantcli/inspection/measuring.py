"""The error of every tensor of a model against another, in blocks of rows and in threads."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from operator import add
from threading import Event, Lock

from quantcli.dtypes import SIZES
from quantcli.execute import NoProgress, Progress
from quantcli.execute.run import one_thread_each
from quantcli.execute.workspace import Workspace
from quantcli.inspection import values
from quantcli.inspection.error import TensorError
from quantcli.inspection.pairs import Pair
from quantcli.inspection.records import TensorInspection
from quantcli.inspection.sums import block_error
from quantcli.inspection.values import Values, compute_dtype, ranges


@dataclass(frozen=True, slots=True)
class _Task:
    """One tensor, by its full name and by its own in both models."""

    full: str
    name: str
    nbytes: int
    result: Values
    original: Values


def measure(
    pairs: Collection[Pair],
    names: Collection[str],
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> dict[str, TensorError]:
    """Return the error of each of these tensors that both models store, by full name.

    Reads rows of both at a time, so that memory does not grow with the model; what transformers
    converts while it loads is read whole. Raises `ModelError` or `MachineError` if a file cannot be
    read.
    """
    with ExitStack() as stack, one_thread_each():
        tasks = [task for pair in pairs for task in _tasks(pair, {*names}, stack)]
        return _Run(progress or NoProgress()).go(tasks, jobs or os.cpu_count() or 1)


def _tasks(pair: Pair, names: Collection[str], stack: ExitStack) -> Iterator[_Task]:
    result = stack.enter_context(pair.result.values())
    original = stack.enter_context(pair.original.values())
    for name, (found, known) in pair.tensors.items():
        full = pair.result.full(name)
        if full in names and _have_values(found, known) and is_comparable(result, name):
            yield _Task(full, name, found.numel * SIZES[original.dtype(name)], result, original)


def _have_values(found: TensorInspection, known: TensorInspection) -> bool:
    """Return whether a tensor is to be compared: it is stored, and not only as another one.

    One that is tied in one model alone is compared with the tensor that it is tied to.
    """
    computed = "compute" in (found.action, known.action)
    return not computed and (found.is_stored or known.is_stored)


def is_comparable(result: Values, name: str) -> bool:
    """Return whether a tensor holds real numbers."""
    return not result.dtype(name).startswith("complex")


class _Run:
    """What the threads of one run share."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = Lock()
        self._stopped = Event()

    def go(self, tasks: list[_Task], jobs: int) -> dict[str, TensorError]:
        """Measure every tensor, the largest first: threads then finish together."""
        self._progress.start(sum(task.nbytes for task in tasks))
        pool = ThreadPoolExecutor(jobs, thread_name_prefix="quantcli")
        try:
            order = sorted(tasks, key=lambda task: -task.nbytes)
            futures = {task.full: pool.submit(self._measure, task) for task in order}
            _await(futures)
        finally:
            self._stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
            self._progress.stop()
        return {task.full: futures[task.full].result() for task in tasks}

    def _measure(self, task: _Task) -> TensorError:
        workspace = Workspace()
        return reduce(add, self._blocks(task, workspace), TensorError())

    def _blocks(self, task: _Task, workspace: Workspace) -> Iterator[TensorError]:
        rows = task.result.rows(task.name)
        dtype = compute_dtype(task.result.dtype(task.name), task.original.dtype(task.name))
        result, original = (each.stream(task.name, rows) for each in (task.result, task.original))
        done = 0
        spaces = Workspace(), Workspace()
        for start, count in ranges(rows, values.BLOCK):
            if self._stopped.is_set():
                return
            before = original.read(start, count, dtype, spaces[0]).values
            yield block_error(before, result.read(start, count, dtype, spaces[1]), workspace)
            left = task.nbytes * (start + count) // values.count_of(rows) - done
            done += left
            with self._lock:
                self._progress.advance(left)


def _await(futures: Mapping[str, Future[TensorError]]) -> None:
    done, _ = wait(futures.values(), return_when=FIRST_EXCEPTION)
    for future in done:
        future.result()
