"""Python processes that start in a moment: forks of one that has imported the heavy libraries.

What is forked has run nothing but imports, and none of transformers or of quantcli unless it is
told to: what a test then imports, and in which order, is as in a fresh interpreter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

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
    stream = os.open(path, os.O_RDWR | os.O_CREAT)
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


@dataclass(frozen=True, slots=True)
class Child:
    """A process that runs."""

    pid: int
    server: IO[str]
    folder: Path

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Wait until the process has ended."""
        code = int(self.server.readline())
        out, err = ((self.folder / name).read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess([], code, out, err)


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
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[Child]:
        """Start a process in a folder, by default the current one; it must be waited for."""
        with TemporaryDirectory() as written:
            job = {
                "code": code,
                "arguments": [*map(str, arguments)],
                "folder": str(folder or Path.cwd()),
                "environment": dict(self._environment if environment is None else environment),
                "streams": [os.devnull, f"{written}/stdout", f"{written}/stderr"],
            }
            assert self._server.stdin is not None
            assert self._server.stdout is not None
            print(json.dumps(job), file=self._server.stdin, flush=True)
            yield Child(int(self._server.stdout.readline()), self._server.stdout, Path(written))


@contextmanager
def start(
    imports: str = TORCH, *, flags: tuple[str, ...] = (), **environment: str
) -> Iterator[Interpreter]:
    """Run the imports in a new process with flags of Python, and start others from there."""
    given = os.environ | environment
    command = [sys.executable, *flags, "-c", SERVER, imports]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=given
    ) as server:
        yield Interpreter(server, given)
        assert server.stdin is not None
        server.stdin.close()
