"""The files of a frozen directory are on the disk before the directory has its name."""

from __future__ import annotations

import os

import pytest

import quantcli
from quantcli.files import write_json, write_text
from quantcli.mark import MANIFEST


@pytest.fixture
def synced(monkeypatch):
    """Note which files were synced, by the name that they then had."""
    names = []
    fsync = os.fsync

    def note(descriptor):
        names.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))  # noqa: PTH119, PTH115
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return names


def test_every_file_is_synced(tiny_model, tmp_path, synced):
    quantcli.quantize(tiny_model("llama-untied"), max_shard_size=200_000, output=tmp_path / "out")
    found = {name.removeprefix(".").removesuffix(".writing") for name in synced}
    for path in (tmp_path / "out").iterdir():
        written = path.name if path.suffix != ".safetensors" else None
        assert written is None or written in found, path.name
    assert MANIFEST in found


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_json(path, {"old": True})

    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_text(path, "new")
    assert path.read_text() == '{\n  "old": true\n}\n'
