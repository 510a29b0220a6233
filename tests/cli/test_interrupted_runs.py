"""Ctrl-C, a kill and a second process while a plan is run: in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time

import pytest
from messages import assert_says
from safetensors.torch import load_file, save_file

from quantcli.cli import main

SLOWLY = """
import sys, time
from quantcli.execute import run
original = run.run_unit
def slowly(*arguments):
    time.sleep(0.1)
    return original(*arguments)
run.run_unit = slowly
from quantcli.cli import main
sys.exit(main(sys.argv[1:]))
"""
ARGUMENTS = ["quantize", "bert", "-o", "out", "--max-shard-size", "150KB", "--jobs", "2"]


@pytest.fixture(autouse=True)
def _bert(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model("bert"), "bert")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def shards(folder):
    return [path.name for path in folder.glob("model-*.safetensors")]


def inodes(folder):
    return {name: (folder / name).stat().st_ino for name in shards(folder)}


@pytest.fixture
def slow(transformers_python, tmp_path):
    """Start a slow run, and wait until it has finished a shard."""
    with transformers_python.start(SLOWLY, *ARGUMENTS) as child:
        deadline = time.monotonic() + 60
        while not shards(tmp_path / ".out.partial"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield child


def finish(tmp_path):
    """Run the command again, and compare with a run in one go."""
    assert main([*ARGUMENTS, "-q"]) == 0
    assert main(["quantize", "bert", "-o", "whole", *ARGUMENTS[4:], "-q"]) == 0
    assert main(["verify", "out"]) == 0
    assert names(tmp_path) == ["bert", "out", "whole"]
    for name in shards(tmp_path / "whole"):
        found, expected = (tmp_path / folder / name for folder in ("out", "whole"))
        assert found.read_bytes() == expected.read_bytes()


def test_ctrl_c(slow, tmp_path, capsys):
    os.kill(slow.pid, signal.SIGINT)
    done = slow.wait()
    assert (done.returncode, done.stdout) == (130, "")
    *_, error, hint = done.stderr.splitlines()
    assert error == "error: interrupted"
    assert hint.startswith("hint: ")
    assert_says(hint, "again", "resume")
    assert "Traceback" not in done.stderr
    assert names(tmp_path) == [".out.partial", "bert"]
    there = {
        name: (tmp_path / ".out.partial" / name).stat().st_ino
        for name in shards(tmp_path / ".out.partial")
    }
    finish(tmp_path)
    assert there
    assert there.items() <= inodes(tmp_path / "out").items()
    capsys.readouterr()


def test_killed(slow, tmp_path, capsys):
    slow.kill()
    there = inodes(tmp_path / ".out.partial")
    finish(tmp_path)
    assert there
    assert there.items() <= inodes(tmp_path / "out").items()
    capsys.readouterr()


def test_another_plan_starts_afresh(slow, tmp_path, capsys):
    slow.kill()
    assert main([*ARGUMENTS, "-w", "int4", "-q"]) == 0
    assert main(["verify", "out"]) == 0
    manifest = json.loads((tmp_path / "out" / "quantcli.json").read_text())
    assert manifest["weights"] == "int4"
    assert names(tmp_path) == ["bert", "out"]
    capsys.readouterr()


def test_other_weights_start_afresh(slow, tmp_path, capsys):
    """The plan is the same, and what was written so far is of another model."""
    slow.kill()
    tensors = load_file("bert/model.safetensors")
    save_file({name: -tensor for name, tensor in tensors.items()}, "bert/model.safetensors")
    finish(tmp_path)
    capsys.readouterr()


def test_a_second_process_keeps_off(slow, tmp_path, capsys):
    assert main(ARGUMENTS) == 4
    error, hint = capsys.readouterr().err.splitlines()
    assert_says(error, "error: another quantcli", str(tmp_path / "out"))
    assert_says(hint, "hint:", "wait", "-o")
    done = slow.wait()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("out: ")
    assert main(["verify", "out"]) == 0
    assert names(tmp_path) == ["bert", "out"]
