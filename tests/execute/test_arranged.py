"""Parameters whose values lie in the checkpoint in another order than they are quantized."""

from __future__ import annotations

import pytest
import torch
from quanto_reference import check

import quantcli
from quantcli.execute import arranged
from quantcli.execute.arranged import PiecesReader, TransposedReader
from quantcli.execute.reading import MemoryReader
from quantcli.execute.workspace import Workspace


class Piece(MemoryReader):
    def __init__(self, tensor):
        super().__init__(tensor)
        self.numel = tensor.numel()


def read(reader, numel, block, dtype=torch.float32):
    out = torch.empty(numel, dtype=dtype)
    for start in range(0, numel, block):
        reader.read(start, out[start : start + block], Workspace())
    return out


@pytest.mark.parametrize("block", [1, 7, 64, 10_000])
def test_pieces_are_one_tensor(block):
    tensors = [torch.randn(size) for size in (5, 1, 40, 13)]
    whole = torch.cat(tensors)
    assert torch.equal(read(PiecesReader([*map(Piece, tensors)]), 59, block), whole)


@pytest.mark.parametrize("strip", [1, 300, 1 << 20])
@pytest.mark.parametrize("block", [1, 9, 64, 10_000])
def test_columns_are_rows(block, strip, monkeypatch):
    monkeypatch.setattr(arranged, "STRIP_BYTES", strip)
    matrices = torch.randn(3, 11, 17)
    reader = TransposedReader(MemoryReader(matrices), tuple(matrices.shape))
    expected = matrices.transpose(1, 2).reshape(-1)
    assert torch.equal(read(reader, matrices.numel(), block), expected)


def test_a_strip_is_read_once(monkeypatch):
    monkeypatch.setattr(arranged, "STRIP_BYTES", 11 * 4 * 4)
    reads = []

    class Counting(MemoryReader):
        def read(self, start, out, workspace):
            reads.append(start)
            super().read(start, out, workspace)

    reader = TransposedReader(Counting(torch.randn(11, 16)), (11, 16))
    read(reader, 176, 22)
    assert len(reads) == len(set(reads)) == 44


@pytest.mark.parametrize("weights", ["int8", "int4", "int2", "float8"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_strips_make_no_difference(tiny_model, tmp_path, weights, dtype, monkeypatch):
    from freezing import QTYPES

    monkeypatch.setattr(arranged, "STRIP_BYTES", 4096)
    folder = tiny_model("gpt2", dtype)
    frozen = quantcli.quantize(folder, weights=weights, output=tmp_path / "out")
    assert {tensor.transposed for tensor in frozen.plan.quantized} == {True}
    check(frozen, folder, QTYPES[weights])


@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
def test_experts_stored_one_by_one_are_not_merged_in_memory(
    tiny_model, tmp_path, weights, monkeypatch
):
    from freezing import QTYPES

    from quantcli.upstream import transformers_conversions

    folder = tiny_model("mixtral")
    merged = [t for t in quantcli.plan(folder).tensors if t.conversion and "Merge" in t.conversion]
    assert {len(tensor.sources) for tensor in merged} == {4, 8}
    convert, real = [], transformers_conversions.convert

    def counting(converter, target, collected, read, model):
        convert.append(read(next(iter(collected.values()))[0]).device.type)
        return real(converter, target, collected, read, model)

    monkeypatch.setattr("quantcli.skeleton.binding.convert", counting)
    frozen = quantcli.quantize(folder, weights=weights, output=tmp_path / "out")
    assert set(convert) == {"meta"}
    check(frozen, folder, QTYPES[weights])
