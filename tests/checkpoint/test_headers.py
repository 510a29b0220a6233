from __future__ import annotations

import pytest
from checkpoints import entry, pack, weights
from messages import as_tuple, refuses

from quantcli.checkpoint.headers import MAX_HEADER, read_header
from quantcli.errors import ModelError


def read(content, **options):
    return read_header(
        "m.safetensors", len(content), lambda _, at, n: content[at : at + n], **options
    )


def test_tensors_come_sorted_by_name_with_absolute_offsets():
    content = weights(b=(2, 3), a=(4,), c=())
    records = read(content)
    assert list(records) == ["a", "b", "c"]
    payload = len(content) - 24 - 16 - 4
    assert [(r.offset - payload, r.nbytes, r.shape) for r in records.values()] == [
        (24, 16, (4,)),
        (0, 24, (2, 3)),
        (40, 4, ()),
    ]
    assert {(r.file, r.dtype, r.strided) for r in records.values()} == {
        ("m.safetensors", "float32", False)
    }


def test_same_as_safetensors(tmp_path):
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    tensors = {
        "z": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3),
        "a": torch.arange(5, dtype=torch.int8),
        "empty": torch.zeros(0, 7),
        "m": torch.tensor(3.0, dtype=torch.float64),
        "f8": torch.zeros(3).to(torch.float8_e4m3fn),
    }
    path = tmp_path / "m.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    content = path.read_bytes()
    records = read(content)
    with safe_open(path, framework="pt") as file:
        assert list(records) == list(file.keys())
    for name, tensor in tensors.items():
        record = records[name]
        assert record.dtype == str(tensor.dtype).removeprefix("torch.")
        assert record.shape == tuple(tensor.shape)
        expected = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        assert content[record.offset : record.offset + record.nbytes] == expected


def test_one_read_is_enough_where_the_guess_is_and_two_where_not():
    content = weights(**{f"layer.{i}.weight": (2, 2) for i in range(100)})
    calls = []

    def reader(_, at, nbytes):
        calls.append((at, nbytes))
        return content[at : at + nbytes]

    assert len(read_header("m", len(content), reader)) == 100
    assert calls == [(0, len(content))]
    calls.clear()
    assert len(read_header("m", len(content), reader, guess=100)) == 100
    assert [at for at, _ in calls] == [0, 100]
    assert sum(nbytes for _, nbytes in calls) == len(content) - 1600


SOUND = {"a": entry([2], 0, 8)}


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        pytest.param(b"", ("truncated", "8 bytes", "header"), id="empty"),
        pytest.param(b"1234567", ("truncated", "1 bytes", "header"), id="7-bytes"),
        pytest.param(pack({}, length=MAX_HEADER + 1), "header", id="header-too-long"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", id="lfs-pointer"),
        pytest.param(
            pack(SOUND, length=1000), ("truncated", "939 bytes", "header"), id="header-cut"
        ),
        pytest.param(pack(b"\xff\xfe{}"), ("UTF-8", "0"), id="not-utf8"),
        pytest.param(pack(b"{"), ("JSON", "line 1"), id="not-json"),
        pytest.param(pack(b"[]"), "JSON object", id="not-an-object"),
        pytest.param(pack(b"[" * 100_000), "nested", id="nested"),
        pytest.param(
            pack(b'{"a": {"dtype": "F32"}, "a": {}}'), ("'a'", "twice"), id="duplicate-tensor"
        ),
        pytest.param(
            pack(b'{"a": {"dtype": "F32", "dtype": "F16"}}'),
            ("'dtype'", "twice"),
            id="duplicate-key",
        ),
        pytest.param(
            pack({"__metadata__": {"n": 1}, **SOUND}, bytes(8)),
            "__metadata__",
            id="metadata-not-strings",
        ),
        pytest.param(pack(b'{"a": ' + b"1" * 5000 + b"}"), "JSON", id="number-too-long"),
        pytest.param(
            pack({"\ud800": entry([2], 0, 8)}), (r"'\ud800'", "Unicode"), id="name-not-unicode"
        ),
        pytest.param(
            pack({"a": [1]}), ("'a'", "dtype", "shape", "data_offsets"), id="not-an-object"
        ),
        pytest.param(
            pack({"a": {"dtype": "F32", "shape": [2]}}),
            ("'a'", "dtype", "shape", "data_offsets"),
            id="no-offsets",
        ),
        pytest.param(
            pack({"a": {**entry([2], 0, 8), "more": 1}}),
            ("'a'", "dtype", "shape", "data_offsets"),
            id="more-keys",
        ),
        pytest.param(
            pack({"a": entry([2], 0, 8, "F31")}), ("'a'", "dtype", "F31"), id="dtype-unknown"
        ),
        pytest.param(
            pack({"a": entry([2], 0, 8, 32)}), ("'a'", "dtype", "32"), id="dtype-not-text"
        ),
        pytest.param(pack({"a": entry([-2], 0, 8)}), ("'a'", "shape", "[-2]"), id="shape-negative"),
        pytest.param(pack({"a": entry([2.0], 0, 8)}), ("'a'", "shape", "[2.0]"), id="shape-float"),
        pytest.param(pack({"a": entry([True], 0, 4)}), ("'a'", "shape", "[True]"), id="shape-bool"),
        pytest.param(pack({"a": entry("2", 0, 8)}), ("'a'", "shape", "2"), id="shape-not-a-list"),
        pytest.param(
            pack({"a": entry([2], 8, 0)}), ("'a'", "data_offsets", "[8, 0]"), id="offsets-reversed"
        ),
        pytest.param(
            pack({"a": entry([2], -8, 0)}),
            ("'a'", "data_offsets", "[-8, 0]"),
            id="offsets-negative",
        ),
        pytest.param(
            pack({"a": {**entry([2], 0, 8), "data_offsets": [0]}}),
            ("'a'", "data_offsets", "[0]"),
            id="offsets-one",
        ),
        pytest.param(
            pack({"a": entry([3], 0, 8)}, bytes(8)), ("'a'", "8 bytes", "F32 [3]", "12"), id="size"
        ),
        pytest.param(
            pack({"a": entry([2**40, 2**40], 0, 8)}, bytes(8)),
            ("'a'", "8 bytes", f"{2**82:,}"),
            id="size-overflow",
        ),
        pytest.param(
            pack({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)),
            ("'b'", "overlaps"),
            id="overlap",
        ),
        pytest.param(
            pack({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, bytes(8)),
            ("'b'", "overlaps"),
            id="same-bytes",
        ),
        pytest.param(
            pack({"a": entry([2], 0, 8), "b": entry([2], 12, 20)}, bytes(20)),
            ("4 bytes", "'b'"),
            id="gap",
        ),
        pytest.param(
            pack({"a": entry([2], 4, 12)}, bytes(12)), ("4 bytes", "'a'"), id="gap-at-the-start"
        ),
        pytest.param(pack(SOUND, bytes(5)), ("truncated", "3 bytes", "payload"), id="cut"),
        pytest.param(pack(SOUND, bytes(11)), ("3", "last tensor"), id="bytes-after-the-end"),
    ],
)
def test_a_header_that_is_not_sound(content, facts):
    with refuses(ModelError, "m.safetensors", *as_tuple(facts)):
        read(content)
