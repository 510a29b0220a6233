from __future__ import annotations

import io
import os
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
from checkpoints import write
from messages import as_tuple, refuses

from quantcli.checkpoint import open_checkpoint
from quantcli.checkpoint.archive import list_records
from quantcli.errors import ModelError

BIN = "pytorch_model.bin"


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "model", {"config.json": {"model_type": "bert"}})


@pytest.fixture
def tensors(torch):
    base = torch.arange(60, dtype=torch.float32).reshape(6, 10)
    state = OrderedDict(
        {
            "z": torch.nn.Parameter(torch.randn(33, 7)),
            "a": base,
            "tied": base,
            "rows": base[2:4],
            "turned": base.t(),
            "columns": base[:, 2:4],
            "half": torch.randn(5).half(),
            "brain": torch.ones(3, dtype=torch.bfloat16),
            "empty": torch.zeros(0, 4),
            "scalar": torch.tensor(3),
            "bool": torch.tensor([True, False]),
        }
    )
    # As state_dict() leaves it.
    state._metadata = OrderedDict({"": {"version": 1}})
    return state


def save(torch, value, legacy=False):
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


STRIDED = {"turned", "columns"}


def test_single_file(torch, folder, tensors):
    checkpoint = open_checkpoint(str(write(folder, {BIN: save(torch, tensors)})))
    assert checkpoint.weights_format == "pytorch"
    assert list(checkpoint.tensors) == list(tensors)
    for name, record in checkpoint.tensors.items():
        tensor = tensors[name].detach()
        assert torch.equal(checkpoint.read(name), tensor)
        assert record.dtype == str(tensor.dtype).removeprefix("torch.")
        assert record.shape == tuple(tensor.shape)
        assert record.nbytes == tensor.numel() * tensor.element_size()
        assert record.strided == (name in STRIDED)
        if not record.strided:
            expected = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            assert checkpoint.sample(name, 0, record.nbytes) == expected


def test_shared_storage_is_seen_by_its_offset(torch, folder, tensors):
    records = open_checkpoint(str(write(folder, {BIN: save(torch, tensors)}))).tensors
    assert records["tied"].offset == records["a"].offset
    assert records["rows"].offset == records["a"].offset + 20 * 4
    assert records["z"].offset != records["a"].offset


def test_nothing_strided_can_be_sampled(torch, folder, tensors):
    checkpoint = open_checkpoint(str(write(folder, {BIN: save(torch, tensors)})))
    with pytest.raises(ValueError, match="no bytes"):
        checkpoint.sample("turned", 0, 4)


def test_legacy_file(torch, folder, tensors):
    checkpoint = open_checkpoint(str(write(folder, {BIN: save(torch, tensors, legacy=True)})))
    records = checkpoint.tensors
    assert list(records) == list(tensors)
    assert all(record.strided for record in records.values())
    assert records["tied"].offset == records["a"].offset
    unrelated = {name: records[name].offset for name in ("z", "a", "half", "empty", "scalar")}
    assert len(set(unrelated.values())) == len(unrelated)
    for name, tensor in tensors.items():
        assert torch.equal(checkpoint.read(name), tensor)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_shards(torch, folder, legacy):
    files = {
        "pytorch_model-00002-of-00002.bin": save(torch, {"a": torch.ones(2)}, legacy),
        "pytorch_model-00001-of-00002.bin": save(
            torch, {"z": torch.ones(3), "c": torch.ones(1)}, legacy
        ),
        "pytorch_model.bin.index.json": {
            "metadata": {"total_size": 24},
            "weight_map": {
                "a": "pytorch_model-00002-of-00002.bin",
                "z": "pytorch_model-00001-of-00002.bin",
                "c": "pytorch_model-00001-of-00002.bin",
            },
        },
    }
    checkpoint = open_checkpoint(str(write(folder, files)))
    assert list(checkpoint.tensors) == ["z", "c", "a"]
    assert checkpoint.index_metadata == {"total_size": 24}
    assert torch.equal(checkpoint.read("a"), torch.ones(2))
    assert torch.equal(checkpoint.read("z"), torch.ones(3))
    assert checkpoint.side_files() == []


def test_offsets_are_torchs_own(torch, tmp_path):
    path = tmp_path / BIN
    # All lengths of names and payloads, so all paddings.
    torch.save({f"w{i}": torch.zeros(i * 5) for i in range(150)}, path)
    reader = torch._C.PyTorchFileReader(str(path))
    with path.open("rb") as stream:
        # Known from the directory alone: no header is read.
        records = list_records(BIN, stream, lambda *_: pytest.fail("a header was read"))
    assert set(reader.get_all_records()) == set(records)
    for record in records.values():
        assert record.offset == reader.get_record_offset(record.name)


def rezip(content, *, compress=zipfile.ZIP_STORED, drop=(), add=None):
    """Write an archive of torch.save anew, as other tools would."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", compress) as new:
        for info in old.infolist():
            if not info.filename.endswith(drop or ("//",)):
                new.writestr(info.filename, old.read(info))
        for name, text in (add or {}).items():
            new.writestr(name, text)
    return stream.getvalue()


def test_an_archive_that_another_tool_wrote(torch, folder, tensors):
    content = rezip(save(torch, tensors), drop=(".format_version", ".storage_alignment"))
    checkpoint = open_checkpoint(str(write(folder, {BIN: content})))
    expected = tensors["a"].numpy().tobytes()
    assert checkpoint.sample("a", 0, len(expected)) == expected


def test_the_other_byte_order_is_left_to_torch(torch, folder):
    content = rezip(
        save(torch, {"a": torch.ones(2)}), drop=("byteorder",), add={"archive/byteorder": "big"}
    )
    record = open_checkpoint(str(write(folder, {BIN: content}))).tensors["a"]
    assert record.strided


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("/tmp/quantcli-was-here",)


def unsound(torch):
    one = {"a": torch.ones(2000)}
    return {
        "code": ({"a": Malicious()}, ("unsafe", "code")),
        "number": ({**one, "n": 3}, ("'n'", "int")),
        "nested": ({"state_dict": one}, ("'state_dict'", "dict")),
        "list": ([torch.ones(2)], "list"),
        "number-as-name": ({1: torch.ones(2)}, ("1", "name")),
        "sparse": ({"a": torch.ones(2).to_sparse()}, ("'a'", "sparse")),
        "dtype": ({"a": torch.ones(2, dtype=torch.complex128)}, ("'a'", "dtype", "complex128")),
    }


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "what", ["code", "number", "nested", "list", "number-as-name", "sparse", "dtype"]
)
def test_more_than_tensors(torch, folder, what, legacy):
    value, facts = unsound(torch)[what]
    with refuses(ModelError, BIN, *as_tuple(facts)):
        open_checkpoint(str(write(folder, {BIN: save(torch, value, legacy)})))
    assert not Path("/tmp/quantcli-was-here").exists()


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        pytest.param(lambda _: b"", "torch.save", id="empty"),
        pytest.param(lambda _: b"<html>", "torch.save", id="web-page"),
        pytest.param(
            lambda _: b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", id="lfs"
        ),
        pytest.param(lambda whole: whole[:-10], ("truncated", "damaged"), id="cut-at-the-end"),
        pytest.param(lambda whole: whole[:300], ("truncated", "damaged"), id="cut-at-the-start"),
        pytest.param(
            lambda whole: rezip(whole, compress=zipfile.ZIP_DEFLATED), "compressed", id="compressed"
        ),
        pytest.param(
            lambda whole: rezip(whole, drop=("data.pkl",)), ("zip", "torch.save"), id="no-pickle"
        ),
        pytest.param(
            lambda whole: rezip(whole, add={"archive/constants.pkl": b""}),
            "TorchScript",
            id="program",
        ),
        pytest.param(
            lambda whole: rezip(whole, drop=("data/0",), add={"archive/data/0": b"1234"}),
            ("'a'", "4 bytes", "8,000"),
            id="short-storage",
        ),
        pytest.param(
            lambda whole: rezip(whole, drop=("data/0",)), ("truncated", "data/0"), id="no-storage"
        ),
        pytest.param(
            lambda whole: rezip(
                whole, drop=("data.pkl",), add={"archive/data.pkl": b"\x80\x02garbage"}
            ),
            (),
            id="pickle-damaged",
        ),
        pytest.param(
            lambda whole: rezip(whole, add={"other/data.pkl": b"1"}),
            ("two", "data.pkl"),
            id="two",
        ),
    ],
)
def test_a_file_that_is_not_sound(torch, folder, content, facts):
    whole = save(torch, {"a": torch.ones(2000)})
    with refuses(ModelError, BIN, *as_tuple(facts)):
        open_checkpoint(str(write(folder, {BIN: content(whole)})))


def test_legacy_cut(torch, folder):
    whole = save(torch, {"a": torch.ones(2000)}, legacy=True)
    with refuses(ModelError, BIN, "truncated", "damaged"):
        open_checkpoint(str(write(folder, {BIN: whole[:-100]})))
