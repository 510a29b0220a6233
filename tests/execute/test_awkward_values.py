"""Weights that are zero, constant, tiny, huge or lopsided: still Quanto's bytes."""

from __future__ import annotations

import shutil

import pytest
from freezing import QTYPES
from quanto_reference import check
from safetensors.torch import load_file, save_file

import quantcli

ROWS = {
    "constant": lambda row: row.fill_(0.5),
    "denormal": lambda row: row.mul_(1e-7),
    "huge": lambda row: row.mul_(60),
    "lopsided": lambda row: row.abs_().add_(1),
    "outlier": lambda row: row[..., :1].fill_(1000),
    "signed zeros": lambda row: row.zero_().neg_(),
    "zero": lambda row: row.zero_(),
}
"""What is done to one row of every matrix each; the others stay as they are."""

SCALE_IS_ZERO = {"float32": 2, "float16": 3, "bfloat16": 2}
"""How many of the rows have a scale of zero by dtype: Quanto's float8 data of them is NaN."""


@pytest.fixture
def awkward(tiny_model, tmp_path):
    """Copy a tiny model and change some rows of every matrix."""

    def make(kind, dtype, rows):
        folder = shutil.copytree(tiny_model(kind, dtype), tmp_path / "model")
        tensors = load_file(folder / "model.safetensors")
        for tensor in tensors.values():
            if tensor.ndim > 1 and len(tensor) > len(rows):
                for number, change in enumerate(rows.values()):
                    change(tensor[number].view(-1))
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return make


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("weights", list(QTYPES))
@pytest.mark.parametrize("kind", ["t5-untied", "vit", "resnet"])
def test_equals_quanto(awkward, tmp_path, kind, weights, dtype):
    zero = ("signed zeros", "zero", "denormal")[: SCALE_IS_ZERO[dtype]]
    skipped = zero if weights.startswith("float8") else ()
    rows = {name: change for name, change in ROWS.items() if name not in skipped}
    folder = awkward(kind, dtype, rows)
    frozen = quantcli.quantize(folder, weights=weights, output=tmp_path / "out", jobs=2)
    check(frozen, folder, QTYPES[weights])
