"""Python processes that start in a moment: forks of one that has imported the heavy libraries.

What is forked has run nothing but imports, and none of transformers or of quantcli unless it is
told to: what a test then imports, and in which order, is as in a fresh interpreter.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

TORCH = """
import jinja2, scipy.optimize, torch
import torch._dynamo, torch.distributed.fsdp, torch.distributed.tensor
"""
"""What takes longest of all that transformers imports."""

TRANSFORMERS = f"""
{TORCH}
import optimum.quanto, transformers
transformers.AutoModel, transformers.BertModel
"""
"""What models are loaded with."""

QUANTCLI = "from quantcli.cli import main; raise SystemExit(main())"
"""The command line; its words are the arguments."""

SERVER = """
import json, os, sys, traceback
exec(sys.argv[1], {})
for line in iter(sys.stdin.readline, ""):
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
for number, path in enumerate(job["streams"]):
    stream = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOCTTY)
    os.dup2(stream, number)
    os.close(stream)
os.chdir(job["folder"])
os.environ.clear()
os.environ.update(job["environment"])
sys.argv[:] = ["-c", *job["arguments"]]
code = 0
try:
    exec(job["code"], {"__name__": "__main__"})
except SystemExit as end:
    code = int(end.code or 0)
except BaseException:
    traceback.print_exc()
    code = 1
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)  # taking down what a fork has never used would copy all of it first
"""
"""Forks for every line of standard input; the fork becomes what the line asks for."""


class Child:
    """A process that runs. `pid` is to send signals to."""

    def __init__(self, server: subprocess.Popen[str], folder: Path) -> None:
        self._answers = server.stdout
        self._folder = folder
        self._done: subprocess.CompletedProcess[str] | None = None
        self.pid = int(self._answers.readline())

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Wait until the process has ended; what it wrote to a stream of its own is with it."""
        if self._done is None:
            self._done = subprocess.CompletedProcess([], int(self._answers.readline()))
            self._done.stdout, self._done.stderr = map(self._written, ("stdout", "stderr"))
        return self._done

    def _written(self, stream: str) -> str:
        path = self._folder / stream
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self) -> None:
        """End the process if it still runs, and wait until it has ended."""
        if self._done is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()


class Interpreter:
    """Starts processes, one at a time."""

    def __init__(self, server: subprocess.Popen[str], environment: Mapping[str, str]) -> None:
        self._server = server
        self._environment = environment

    def run(self, code: str, *arguments: object, **options: object) -> subprocess.CompletedProcess:
        """Run code to its end, with what it finds in `sys.argv`; return its code and output."""
        with self.start(code, *arguments, **options) as child:
            return child.wait()

    @contextmanager
    def start(
        self,
        code: str,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        **streams: str,
    ) -> Iterator[Child]:
        """Start a process in the current folder; leaving the block kills it.

        `stdin`, `stdout` and `stderr` are paths, of a terminal for example; the default of the
        last two is what `Child.wait` returns.
        """
        with TemporaryDirectory() as folder:
            kept = {name: f"{folder}/{name}" for name in ("stdout", "stderr")}
            given = dict(os.environ if environment is None else environment)
            job = {
                "code": code,
                "arguments": [*map(str, arguments)],
                "folder": str(Path.cwd()),
                "environment": given | self._environment,
                "streams": [*({"stdin": os.devnull} | kept | streams).values()],
            }
            print(json.dumps(job), file=self._server.stdin, flush=True)
            child = Child(self._server, Path(folder))
            try:
                yield child
            finally:
                child.kill()


@contextmanager
def start(imports: str = TORCH, **environment: str) -> Iterator[Interpreter]:
    """Run imports in a new process with variables of its own, and start others from there."""
    command = [sys.executable, "-c", SERVER, imports]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as server:
        yield Interpreter(server, environment)
        server.stdin.close()
