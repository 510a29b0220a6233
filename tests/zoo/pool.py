"""Processes of their own for many short jobs, each within a time and a memory limit."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from zoo.outcome import Failure, in_words

PRELOADED = (
    "optimum.quanto",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
    "quantcli.api",
    "quantcli.comparison.families.whole",
    "quantcli.execute",
    "quantcli.frozen.write",
    "quantcli.kinds.linear",
    "quantcli.loading.quantizer",
    "zoo.planned",
    "zoo.ran",
)
"""What a new process has imported already: it is forked from one that has."""

Result = dict[str, Any]
"""What a job returns, or its `failed` step and `reason`."""


@dataclass(frozen=True, slots=True)
class Job:
    """A stage of the zoo for one model type: the same arguments give the same result."""

    stage: str
    model_type: str
    act: Callable[[str], Result]
    seconds: float
    nbytes: int


@dataclass(slots=True)
class _Running:
    job: Job
    process: Any
    pipe: Connection
    until: float


def run_jobs(jobs: Iterable[Job], *, workers: int) -> Iterator[tuple[Job, Result]]:
    """Run jobs, `workers` at a time, and yield each with its result as it ends."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    waiting, running = deque(jobs), list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(context, waiting.popleft()))
            wait([one.pipe for one in running], timeout=0.2)
            for one in list(running):
                result = _result(one)
                if result is not None:
                    running.remove(one)
                    _end(one, patience=0 if "failed" in result else 5)
                    yield one.job, result
    finally:
        for one in running:
            _end(one)


def _start(context: Any, job: Job) -> _Running:
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(theirs, job), daemon=True)
    process.start()
    theirs.close()
    return _Running(job, process, ours, time.monotonic() + job.seconds)


def _result(one: _Running) -> Result | None:
    """Return the result of a process that has ended, or must; None while it runs."""
    if one.pipe.poll():
        try:
            result: Result = one.pipe.recv()
        except EOFError:
            one.process.join(5)
            return failed("process", _ended(one.process.exitcode))
        return result
    if time.monotonic() > one.until:
        return failed("process", f"took more than {one.job.seconds:.0f} s")
    return None


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    return f"the process ended with exit code {code}"


def _end(one: _Running, *, patience: float = 0) -> None:
    one.process.join(patience)
    one.process.kill()
    one.process.join()
    one.process.close()
    one.pipe.close()


def failed(step: str, reason: str) -> Result:
    """Return the result of a job that failed."""
    return {"failed": step, "reason": reason}


def _serve(pipe: Connection, job: Job) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (job.nbytes, job.nbytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1) if "ZOO_DEBUG" in os.environ else (0, 1, 2):
        os.dup2(null, number)
    import torch

    torch.set_num_threads(1)
    try:
        result = job.act(job.model_type)
    except Failure as failure:
        if "ZOO_DEBUG" in os.environ:
            traceback.print_exc()
        result = failed(failure.step, failure.reason)
    except MemoryError:
        result = failed("process", f"took more than {job.nbytes / 2**30:.0f} GiB")
    except BaseException as error:  # noqa: BLE001 - the table lists whatever a model raises
        result = failed("process", in_words(error))
    pipe.send(result)
