"""Small files that appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from quantcli.comparison.gates.textfile import check_writable, write_whole
from quantcli.errors import MachineError


def test_a_file_and_its_folders_are_made(tmp_path):
    file = tmp_path / "a" / "b" / "report.md"
    check_writable(file)
    assert list(tmp_path.iterdir()) == []
    write_whole(file, "grüße\n")
    assert file.read_text(encoding="utf-8") == "grüße\n"
    write_whole(str(file), "again\n")
    assert file.read_text() == "again\n"
    assert list(file.parent.iterdir()) == [file]


def test_half_a_character_is_shown_escaped(tmp_path):
    write_whole(tmp_path / "r.md", "a\udc80b")
    assert (tmp_path / "r.md").read_text() == "a\\udc80b"


def test_what_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / "link").symlink_to("file")
    write_whole(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"


def test_devices_are_written_to():
    check_writable(os.devnull)
    write_whole(os.devnull, "text")
    assert not os.path.isfile(os.devnull)  # noqa: PTH113


@pytest.mark.parametrize("redirected", [False, True], ids=["pipe", "file"])
def test_standard_output_is_written_to(tmp_path, redirected):
    script = "from quantcli.comparison.gates.textfile import *; write_whole('/dev/stdout', 'text')"
    command = [sys.executable, "-c", script]
    if not redirected:
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        assert run.stdout == "text"
        return
    with (tmp_path / "out").open("wb") as out:
        subprocess.run(command, stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "text"


@pytest.fixture(params=[check_writable, lambda path: write_whole(path, "text")])
def attempt(request):
    return request.param


def test_places_that_cannot_be_written(tmp_path, attempt):
    (tmp_path / "file").write_text("mine")
    for path, reason in {
        tmp_path: "",
        tmp_path / "file" / "report.md": "",
        tmp_path / "file" / "a" / "report.md": "",
        "a\0b": "null",
    }.items():
        with pytest.raises(MachineError) as error:
            attempt(path)
        assert error.value.message.startswith(f"cannot write {path}: ")
        assert reason in error.value.message
        assert error.value.hint == "choose another file"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_without_permission(tmp_path, monkeypatch):
    # Root may write everywhere, so the refusal is played.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(MachineError, match="cannot be written"):
        check_writable(tmp_path / "report.md")


def test_a_link_that_leads_to_itself(tmp_path, attempt):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(MachineError, match="cannot write"):
        attempt(tmp_path / "loop" / "report.md")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    (tmp_path / "report.md").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError) as error:
        write_whole(tmp_path / "report.md", "new")
    file = tmp_path / "report.md"
    assert error.value.message == f"cannot write {file}: No space left on device"
    assert (file.read_text(), list(tmp_path.iterdir())) == ("old", [file])
