"""A process that runs cases, and is ended where one takes too long or too much."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from fuzz import cases
from fuzz.cases import Case, Result
from fuzz.steps import PACKAGE, Finding, Record

PRELOADED = (
    *("optimum.quanto", "quantcli.api", "quantcli.execute", "quantcli.frozen.write"),
    *("quantcli.loading.quantizer", "quantcli.kinds.linear", "quantcli.skeleton"),
    *(f"transformers.models.{name}.modeling_{name}" for name in ("bert", "clip", "gpt2", "llama")),
)
"""What a new worker has imported already: it is forked from a process that has."""

ALLOCATED = 8 * 2**30
"""Bytes that a worker may ask for, so that it fails before the machine does; files it may map."""


Run = Callable[[int, int, Path, Callable[[Case], None], Callable[[str], None]], Result]
"""Runs a case as `cases.run` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one case may take: seconds, and bytes of memory."""

    seconds: float = 20.0
    resident: int = 3 * 2**30


class Worker:
    """Runs cases of a seed, one at a time, in a process that is begun anew where it was lost."""

    def __init__(self, root: Path, seed: int, limits: Limits, run: Run = cases.run) -> None:
        self._arguments = (root, seed, run)
        self._limits = limits
        self._log = root / "worker.log"
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*PRELOADED])
        self._process: Any = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, number: int) -> Result:
        """Run a case, and return what became of it even where it took the process along."""
        pipe = self._begin()
        pipe.send(number)
        case, step = Case(number=number, target="", damage=()), "make"
        until = time.monotonic() + self._limits.seconds
        while True:
            try:
                lost = self._wait(pipe, until)
                message = None if lost else pipe.recv()
            except (EOFError, ConnectionError):
                lost, message = "Crash", None
            if lost:
                return Result(case=case, record=self._lose(lost, step))
            if isinstance(message, Result):
                return message
            if isinstance(message, Case):
                case = message
            else:
                step = message

    def _wait(self, pipe: Connection, until: float) -> str:
        """Wait for a message; return in a word why there will be none."""
        while not pipe.poll(0.1):
            if time.monotonic() > until:
                return "Hang"
            if _resident(self._process.pid) > self._limits.resident:
                return "Memory"
        return ""

    def _begin(self) -> Connection:
        if self._pipe is None:
            self._pipe, theirs = self._context.Pipe()
            self._log.write_bytes(b"")
            self._process = self._context.Process(
                target=serve, args=(theirs, *self._arguments), daemon=True
            )
            self._process.start()
            theirs.close()
            self._pipe.recv()  # it is ready: importing is not counted
        return self._pipe

    def _lose(self, why: str, step: str) -> Record:
        """End a process that is lost; return why, and where it was."""
        if why != "Crash":
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGUSR1)
            time.sleep(0.5)
        code = self._end(patience=0)
        trace = self._log.read_text(errors="replace")[-6000:]
        ours = rf'File "{re.escape(str(PACKAGE.parent))}/(quantcli/.*)", line (\d+) in (\w+)'
        found = re.search(ours, trace)
        where = f"{found[1]}:{found[2]} {found[3]}" if found else ""
        detail = f"exit code {code}\n{trace}" if why == "Crash" else trace
        finding = Finding(step=step, kind=why, where=where, detail=detail)
        return Record(outcomes={step: why}, findings=[finding])

    def _end(self, patience: float = 5) -> int | None:
        """End the process, which ends by itself where it sees that nobody asks any more."""
        if self._pipe is None:
            return None
        self._pipe.close()
        self._process.join(patience)
        self._process.kill()
        self._process.join()
        code: int | None = self._process.exitcode
        self._process.close()
        self._pipe = None
        return code


def serve(pipe: Connection, root: Path, seed: int, run: Run) -> None:
    """Run the cases whose numbers come in, until nobody asks any more."""
    _redirect(root / "worker.log")
    resource.setrlimit(resource.RLIMIT_DATA, (ALLOCATED, ALLOCATED))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import torch

    torch.set_num_threads(1)
    pipe.send("ready")
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            number = pipe.recv()
            pipe.send(run(seed, number, root, pipe.send, pipe.send))


def _redirect(log: Path) -> None:
    """Send what is said, and where a signal finds us, to a file; ask nobody anything."""
    null = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    for number, target in enumerate((null, null, file)):
        os.dup2(target, number)
    faulthandler.enable(sys.__stderr__ or file)
    faulthandler.register(signal.SIGUSR1, file=file, all_threads=False)


def _resident(pid: int) -> int:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
