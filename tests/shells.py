"""Shells that somebody types in: what a command is given in the end."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shlex
import subprocess
import sys
import termios
import time
from pathlib import Path

SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}

SCRIPT = """#!/bin/sh
if [ -n "$_QUANTCLI_COMPLETE" ]; then exec {python} -m quantcli "$@"; fi
if [ "$1" = completion ]; then exec {python} -m quantcli "$@"; fi
printf '<%s>' "$@" > {answer}.new
mv {answer}.new {answer}
"""
"""A quantcli that completes, but only writes down the arguments of any other command."""

SETUP = {
    "bash": 'eval "$(quantcli completion bash)"',
    "zsh": 'eval "$(quantcli completion zsh)"',
    "fish": "quantcli completion fish | source",
}


def typed(shell: str, keys: str, folder: Path, home: Path) -> str:
    """Type keys in a shell; return the arguments that quantcli was then started with: "<a><b>"."""
    programs, answer = home / "bin", home / "answer"
    programs.mkdir(exist_ok=True)
    python = shlex.quote(sys.executable)
    (programs / "quantcli").write_text(SCRIPT.format(python=python, answer=answer))
    (programs / "quantcli").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "XDG_DATA_HOME": str(home),
        "TERM": "xterm",
    }
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (40, 200))
    process = subprocess.Popen(
        SHELLS[shell],
        stdin=writer,
        stdout=writer,
        stderr=writer,
        cwd=folder,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads yet
    )
    os.close(writer)
    seen = ""
    try:
        for part in (f"{SETUP[shell]}; echo rea''dy\n", *keys.split("|"), "\n"):
            os.write(reader, part.encode())
            seen += _read(reader, "ready" if "ready" not in seen else None)
        deadline = time.monotonic() + 20
        while not answer.exists() and time.monotonic() < deadline:
            seen += _read(reader, None)
        assert answer.exists(), seen
        return answer.read_text()
    finally:
        answer.unlink(missing_ok=True)
        process.kill()
        process.wait()
        os.close(reader)


def _read(stream: int, wanted: str | None) -> str:
    """Read until the shell has written what is wanted, or has been silent for a while."""
    seen, deadline = "", time.monotonic() + 30
    quiet = 0.7 if wanted is None else 30
    while time.monotonic() < deadline and select.select([stream], [], [], quiet)[0]:
        try:
            seen += os.read(stream, 65536).decode(errors="replace")
        except OSError:
            break
        if wanted and wanted in seen:
            quiet, wanted = 0.3, None
    return seen
