"""The demo of the README runs, and fails where the model is not the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import demo
import pytest

DEMO = Path(demo.__file__)


@pytest.mark.slow
def test_the_demo_shows_that_the_model_is_the_same(tmp_path):
    run = subprocess.run(
        [sys.executable, DEMO], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    assert "90.853 MB" in run.stdout
    assert "58.645 MB" in run.stdout
    assert all(sentence in run.stdout for sentence in demo.SENTENCES)
    assert "the same model" in run.stdout
    assert "Traceback" not in run.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("least", "code"), [pytest.param(0.991, 0, id="same"), pytest.param(0.98, 1, id="broken")]
)
def test_the_least_cosine_decides(monkeypatch, capsys, least, code):
    cosines = [1.0] * (len(demo.SENTENCES) - 1) + [least]
    monkeypatch.setattr(demo, "compare", lambda *_: cosines)
    monkeypatch.setattr(
        demo.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], returncode=0)
    )
    assert demo.main() == code
    assert ("NOT the same" in capsys.readouterr().out) == bool(code)


def test_a_command_that_fails_ends_the_demo(monkeypatch):
    monkeypatch.setattr(
        demo.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], returncode=4)
    )
    assert demo.main() == 4
