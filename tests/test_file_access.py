"""Files that appear whole or not at all, JSON that is read, and the words for what fails."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from quantcli.errors import MachineError, ModelError, UsageError
from quantcli.files import (
    check_writable,
    copy_file,
    output_error,
    parse_json,
    read_error,
    read_json,
    whole_file,
    write_json,
    write_report,
)


def test_a_file_and_its_folders_are_made(tmp_path):
    file = tmp_path / "a" / "b" / "report.md"
    check_writable(file)
    assert list(tmp_path.iterdir()) == []
    write_report(file, "grüße\n")
    assert file.read_text(encoding="utf-8") == "grüße\n"
    write_report(str(file), "again\n")
    assert file.read_text() == "again\n"
    assert list(file.parent.iterdir()) == [file]


def test_half_a_character_is_shown_escaped(tmp_path):
    write_report(tmp_path / "r.md", "a\udc80b")
    assert (tmp_path / "r.md").read_text() == "a\\udc80b"


def test_what_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / "link").symlink_to("file")
    write_report(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"


def test_devices_are_written_to():
    check_writable(os.devnull)
    write_report(os.devnull, "text")
    assert not os.path.isfile(os.devnull)  # noqa: PTH113


@pytest.mark.parametrize("redirected", [False, True], ids=["pipe", "file"])
def test_standard_output_is_written_to(tmp_path, redirected):
    script = "from quantcli.files import *; write_report('/dev/stdout', 'text')"
    command = [sys.executable, "-c", script]
    if not redirected:
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        assert run.stdout == "text"
        return
    with (tmp_path / "out").open("wb") as out:
        subprocess.run(command, stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "text"


@pytest.fixture(params=[check_writable, lambda path: write_report(path, "text")])
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
        write_report(tmp_path / "report.md", "new")
    file = tmp_path / "report.md"
    assert error.value.message == f"cannot write {file}: No space left on device"
    assert (file.read_text(), list(tmp_path.iterdir())) == ("old", [file])


def system_error(number):
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        pytest.param(errno.EACCES, MachineError, "no permission to read f", id="permission"),
        pytest.param(errno.EPERM, MachineError, "no permission to read f", id="not-permitted"),
        pytest.param(errno.ENOENT, UsageError, "no such file: f", id="missing"),
        pytest.param(errno.ENOTDIR, UsageError, "no such file: f", id="below-a-file"),
        pytest.param(errno.EISDIR, UsageError, "cannot read f: Is a directory", id="folder"),
        pytest.param(errno.EIO, UsageError, "cannot read f: Input/output error", id="disk"),
    ],
)
def test_a_file_that_cannot_be_read(number, kind, message):
    error = read_error(system_error(number), "f", UsageError)
    assert (type(error), error.message) == (kind, message)


def test_what_cannot_be_read_is_a_models_unless_said_otherwise():
    assert type(read_error(system_error(errno.EIO), "f")) is ModelError


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        pytest.param(errno.ENOSPC, MachineError, "no space left on the disk of out", id="full"),
        pytest.param(errno.EDQUOT, MachineError, "no space left on the disk of out", id="quota"),
        pytest.param(
            errno.EACCES, MachineError, "cannot write out: Permission denied", id="permission"
        ),
        pytest.param(
            errno.EROFS, MachineError, "cannot write out: Read-only file system", id="read-only"
        ),
        pytest.param(errno.EEXIST, UsageError, "cannot create out: File exists", id="file"),
        pytest.param(
            errno.ENOTDIR, UsageError, "cannot create out: Not a directory", id="below-a-file"
        ),
    ],
)
def test_an_output_that_cannot_be_written(tmp_path, number, kind, message):
    error = output_error(system_error(number), tmp_path / "out")
    assert (type(error), error.message) == (kind, message.replace("out", f"{tmp_path}/out"))
    assert "-o" in error.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(b"\xff", r"is not UTF-8 text \(byte 0\)", id="binary"),
        pytest.param(b"", "is not valid JSON: Expecting value", id="empty"),
        pytest.param(b"1" * 5000, "is not valid JSON: Exceeds the limit", id="long-number"),
        pytest.param(b"[" * 100_000, "is nested too deeply to be read", id="nested"),
        pytest.param(b'{"a": 1, "a": 2}', "names 'a' twice", id="key-twice"),
    ],
)
def test_text_that_is_no_json(text, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        parse_json(text, unique_keys=True)


def test_json_is_read_as_it_was_written(tmp_path):
    write_json(tmp_path / "a.json", {"name": "grüße", "sizes": [1, 2]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8").startswith('{\n  "name": "grüße"')
    assert read_json(tmp_path / "a.json") == {"name": "grüße", "sizes": [1, 2]}
    assert parse_json(b'{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize(
    "name", ["a", "a" * 255, "ä" * 127], ids=["short", "long", "long-in-bytes"]
)
def test_a_copy_has_its_name_when_it_is_whole(tmp_path, name):
    (tmp_path / "source").write_bytes(b"content")
    copy_file(tmp_path / "source", tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"content"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_block_that_fails_leaves_nothing(tmp_path):
    def interrupted():
        with whole_file(tmp_path / "a") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
