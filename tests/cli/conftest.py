"""Commands in this process, in a folder of the test's own; `compare` on few samples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from messages import told

from quantcli.cli import main


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command ended with, and what it wrote."""

    code: int
    out: str
    err: str

    def told(self, kind: str) -> list[str]:
        """Return what follows `kind:` in the lines of standard error."""
        return told(self.err, kind)

    def json(self) -> dict[str, Any]:
        """Return the one JSON object on standard output, which must be strictly valid."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        found = json.loads(self.out, parse_constant=refuse)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def compare(capsys, tmp_path, monkeypatch):
    """Run `quantcli compare` on three samples, unless `samples` says otherwise."""
    monkeypatch.chdir(tmp_path)

    def run(*words, samples=3) -> Ran:
        capsys.readouterr()
        few = [] if samples is None else ["--samples", str(samples)]
        code = main(["compare", *map(str, words), *few])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def fails(capsys, tmp_path, monkeypatch):
    """Run a command that must fail and write nothing; return its exit code, error and hint.

    That is one line `error: …` and at most one line `hint: …` on standard error, whatever is
    warned of before them, and nothing on standard output.
    """
    monkeypatch.chdir(tmp_path)

    def run(*arguments) -> tuple[int, str, str]:
        capsys.readouterr()
        before = sorted(tmp_path.iterdir())
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        error, *hint = [x for x in captured.err.splitlines() if not x.startswith("warning: ")]
        assert (captured.out, error[:7], len(hint) < 2) == ("", "error: ", True), captured.err
        assert all(line.startswith("hint: ") for line in hint)
        assert sorted(tmp_path.iterdir()) == before
        return code, error.removeprefix("error: "), "".join(hint).removeprefix("hint: ")

    return run


@pytest.fixture
def unloaded(monkeypatch):
    """Let no model be loaded: a test fails that gets that far."""
    from quantcli.comparison.engine.sides import Side

    def load(side, _):
        pytest.fail(f"{side.summary.model} was loaded")

    monkeypatch.setattr(Side, "load", load)
