"""Ctrl-C, a kill and a second process while a plan is run: in processes of their own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
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
def slow(tmp_path):
    """Start a slow run, and wait until it has finished a shard."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *ARGUMENTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not shards(tmp_path / ".out.partial"):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield process
    process.kill()
    process.communicate()


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
    slow.send_signal(signal.SIGINT)
    out, err = slow.communicate(timeout=60)
    assert (slow.returncode, out) == (130, "")
    assert "error: interrupted\nhint: run the same command again to resume" in err
    assert "Traceback" not in err
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
    slow.communicate()
    there = inodes(tmp_path / ".out.partial")
    finish(tmp_path)
    assert there
    assert there.items() <= inodes(tmp_path / "out").items()
    capsys.readouterr()


def test_another_plan_starts_afresh(slow, tmp_path, capsys):
    slow.kill()
    slow.communicate()
    assert main([*ARGUMENTS, "-w", "int4", "-q"]) == 0
    assert main(["verify", "out"]) == 0
    manifest = json.loads((tmp_path / "out" / "quantcli.json").read_text())
    assert manifest["weights"] == "int4"
    assert names(tmp_path) == ["bert", "out"]
    capsys.readouterr()


def test_other_weights_start_afresh(slow, tmp_path, capsys):
    """The plan is the same, and what was written so far is of another model."""
    slow.kill()
    slow.communicate()
    tensors = load_file("bert/model.safetensors")
    save_file({name: -tensor for name, tensor in tensors.items()}, "bert/model.safetensors")
    finish(tmp_path)
    capsys.readouterr()


def test_a_second_process_keeps_off(slow, tmp_path, capsys):
    assert main(ARGUMENTS) == 4
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: another quantcli is writing ")
    assert hint == "hint: wait for it to finish, or use another -o"
    out, _ = slow.communicate(timeout=60)
    assert (slow.returncode, "out: written in" in out) == (0, True)
    assert main(["verify", "out"]) == 0
    assert names(tmp_path) == ["bert", "out"]
