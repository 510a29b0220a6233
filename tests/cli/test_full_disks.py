"""A real disk that is full, a real limit on files, a folder that may not be written."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from messages import assert_says

from quantcli.cli import main
from quantcli.frozen.staging import Staging


@pytest.fixture(autouse=True)
def _bert(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model("bert"), "bert")


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 300 KB, which the quantized model does not fit on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def failure(capsys):
    error, *hint = capsys.readouterr().err.splitlines()
    assert len(hint) < 2
    return error, "".join(hint)


def test_no_space_is_said_before_a_byte_is_written(small_disk, capsys):
    assert main(["quantize", "bert", "-o", f"{small_disk}/out", "-q"]) == 4
    error, hint = failure(capsys)
    assert_says(error, "error:", "space", f"{small_disk}/out", "0.000 GB")
    assert_says(hint, "hint:", "-o")
    assert not list(small_disk.iterdir())


@pytest.mark.parametrize("size", ["5GB", "100KB"])
def test_space_that_runs_out(small_disk, capsys, monkeypatch, size):
    monkeypatch.setattr(Staging, "_check_space", lambda _: None)
    arguments = ["quantize", "bert", "-o", f"{small_disk}/out", "-q"]
    assert main([*arguments, "--max-shard-size", size]) == 4
    error, hint = failure(capsys)
    assert_says(error, "error:", "space", str(small_disk))
    assert_says(hint, "hint:", "-o")
    assert not list(small_disk.iterdir())


def test_a_limit_on_the_size_of_files(tmp_path, capsys):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        assert main(["quantize", "bert", "-q"]) == 4
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_says(failure(capsys)[0], "error:", "File too large")
    assert [path.name for path in tmp_path.iterdir()] == ["bert"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_parent_that_may_not_be_written(tmp_path, capsys, monkeypatch, number):
    def refused(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refused)
    assert main(["quantize", "bert", "-q"]) == 4
    error, hint = failure(capsys)
    assert_says(error, "error:", f"{tmp_path}/bert-int8", os.strerror(number))
    assert_says(hint, "hint:", "-o")
    assert [path.name for path in tmp_path.iterdir()] == ["bert"]
