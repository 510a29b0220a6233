"""Start one process for each side, and let them run the workloads in turn."""

from __future__ import annotations

import contextlib
import json
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from quantcli.benchmarking.results import Benchmark, SideResult, Spread, Timed, Workload
from quantcli.errors import MachineError, ModelError
from quantcli.execute import Progress

WORKER = "quantcli.benchmarking.worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRequest:
    """A model, and how it is to be loaded: `kernels` None for an original.

    An `optional` side is left out, with a notice, if the model cannot be loaded so.
    """

    name: str
    model: str
    kernels: str | None = None
    activations: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """What to measure: the sides, the first of which the others are compared with."""

    directory: str
    sides: tuple[SideRequest, ...]
    rounds: int
    batches: tuple[int, ...]
    seed: int = 0
    trust_remote_code: bool = False
    notices: tuple[str, ...] = ()


def run_benchmark(request: BenchRequest, progress: Progress) -> Benchmark:
    """Load all sides, run every workload in turns, and return what was measured.

    Raises `ModelError` for a side that cannot be loaded.
    """
    with ExitStack() as opened:
        notices = [*request.notices]
        workers = [*_start(request, opened, notices)]
        count = len(workers[0].workloads)
        progress.start(count * request.rounds * len(workers))
        try:
            for number in range(request.rounds):
                for index in range(count):
                    for worker in _turn(workers, number):
                        worker.run(index)
                        progress.advance(1)
        finally:
            progress.stop()
        sides = tuple(worker.finish() for worker in workers)
    return Benchmark(
        directory=request.directory,
        sides=sides,
        rounds=request.rounds,
        threads=workers[0].threads,
        machine=_machine(),
        notices=tuple(notices),
    )


def _start(request: BenchRequest, opened: ExitStack, notices: list[str]) -> Iterator[_Worker]:
    """Yield the loaded sides, and note which ones are left out."""
    for side in request.sides:
        try:
            yield opened.enter_context(_started(side, request))
        except ModelError as error:
            if not side.optional:
                raise
            notices.append(f"left out: {error}")


class _Worker:
    """The process of one side."""

    def __init__(
        self, side: SideRequest, process: subprocess.Popen[bytes], connection: Connection
    ) -> None:
        self._side = side
        self._process = process
        self._connection = connection
        loaded = self._answer()
        self._load_seconds: float = loaded["load_seconds"]
        self.threads: int = loaded["threads"]
        self.workloads: list[Workload] = loaded["workloads"]
        self._seconds: list[list[float]] = [[] for _ in self.workloads]
        self._problems = [""] * len(self.workloads)

    def run(self, index: int) -> None:
        """Run one workload for a while."""
        if self._problems[index]:
            return
        found = self._ask(index)
        self._seconds[index] += found.get("seconds", [])
        self._problems[index] = found.get("problem", "")

    def finish(self) -> SideResult:
        """Let the process end, and return what it measured."""
        peak: int | None = self._ask(None)["peak_bytes"]
        timed = zip(self.workloads, self._seconds, self._problems, strict=True)
        return SideResult(
            name=self._side.name,
            model=self._side.model,
            kernels=self._side.kernels or "",
            activations=self._side.activations or "",
            load_seconds=self._load_seconds,
            peak_bytes=peak,
            timed=tuple(
                Timed(
                    workload=workload,
                    seconds=None if problem else Spread.of(seconds),
                    problem=problem,
                )
                for workload, seconds, problem in timed
            ),
        )

    def _ask(self, index: int | None) -> dict[str, Any]:
        with contextlib.suppress(OSError):  # if it has ended, `_answer` finds that as well
            self._connection.send(index)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._connection.recv()
        except (EOFError, OSError):
            code = self._process.wait()
            raise MachineError(
                f"the process of {self._side.name} ended with code {code}",
                hint="the memory was not enough" if code == -signal.SIGKILL else None,
            ) from None
        if "error" in found:
            raise ModelError(f"{self._side.name}: {found['error']}", hint=found["hint"])
        return found


@contextmanager
def _started(side: SideRequest, request: BenchRequest) -> Iterator[_Worker]:
    asked: Mapping[str, Any] = {
        "model": side.model,
        "kernels": side.kernels,
        "activations": side.activations,
        "trust_remote_code": request.trust_remote_code,
        "seed": request.seed,
        "batches": request.batches,
    }
    ours, theirs = Pipe()
    with ours:
        process = subprocess.Popen(  # noqa: S603 - this module
            [sys.executable, "-m", WORKER, json.dumps(asked), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        try:
            yield _Worker(side, process, ours)
        finally:
            process.kill()
            process.wait()


def _turn(workers: Sequence[_Worker], number: int) -> list[_Worker]:
    """Return the sides, each round beginning with another one."""
    first = number % len(workers)
    return [*workers[first:], *workers[:first]]


def _machine() -> str:
    import torch

    return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
