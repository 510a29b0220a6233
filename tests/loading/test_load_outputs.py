"""A loaded model computes what the model that Quanto froze in memory computes, bit for bit."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import freezing
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

import quantcli

WEIGHTS = ("int8", "int4", "int2", "float8", "float8_e5m2")
DTYPES = ("float32", "float16", "bfloat16")
EVERY_DTYPE = ("bert-classifier", "vit")
HALF_TOO = ("bert", "clip", "gpt2", "llama-tied", "mixtral", "resnet", "t5-untied", "whisper")

CASES = {
    *itertools.product(EVERY_DTYPE, WEIGHTS, DTYPES),
    *itertools.product(("bert", "resnet"), WEIGHTS, ("float32", "bfloat16")),
    *itertools.product(HALF_TOO, ("int8", "int4", "float8"), ("float32", "bfloat16")),
    *itertools.product(tiny.KINDS, ("int8", "int4"), ("float32",)),
}


@pytest.mark.parametrize(("kind", "weights", "dtype"), sorted(CASES))
def test_it_computes_what_quanto_computes(frozen, in_memory, kind, weights, dtype):
    loaded, model = quantcli.load(frozen(kind, weights, dtype)), in_memory(kind, weights, dtype)
    assert type(loaded) is type(model)
    assert loaded.dtype == getattr(torch, dtype)
    assert not loaded.training
    freezing.assert_same(loaded.state_dict(), freezing.state(model))
    expected = freezing.run(model)
    freezing.assert_same(freezing.run(loaded), expected)
    with torch.inference_mode():
        freezing.assert_same(freezing.run(loaded), expected)
    freezing.assert_same(freezing.run(loaded), expected)


@pytest.mark.parametrize(
    ("kind", "weights", "size"),
    [("llama-tied", "int4", 200_000), ("llama-tied", "int4", 80_000), ("mixtral", "int8", 100_000)],
)
def test_shards(frozen, in_memory, kind, weights, size):
    directory = frozen(kind, weights, max_shard_size=size)
    assert len(list(directory.glob("*.safetensors"))) > 1
    freezing.assert_same(
        freezing.run(quantcli.load(directory)), freezing.run(in_memory(kind, weights))
    )


def test_group_size_of_our_own(frozen, tiny_model):
    model = freezing.load_original(tiny_model("vit"))
    freezing.freeze_plainly(model, "int4", group_size=32)
    loaded = quantcli.load(frozen("vit", "int4", group_size=32))
    sizes = {name: module.weight._group_size for name, module in freezing.qmodules(loaded)}
    assert set(sizes.values()) == {32}
    freezing.assert_same(loaded.state_dict(), freezing.state(model))
    freezing.assert_same(freezing.run(loaded), freezing.run(model))


def test_same_kernel_as_in_memory(frozen, in_memory):
    loaded, model = (make("bert", "int4", "bfloat16") for make in (frozen, in_memory))
    kinds = {name: type(module.weight) for name, module in freezing.qmodules(model)}
    found = freezing.qmodules(quantcli.load(loaded))
    assert {name: type(module.weight) for name, module in found} == kinds
    assert "TinyGemmWeightQBitsTensor" in {kind.__name__ for kind in kinds.values()}


def test_unaligned_file_does_not_crash(frozen, tmp_path):
    """torch's bfloat16 x int8 kernel loads with aligned instructions."""
    directory = shutil.copytree(frozen("bert", "int8", "bfloat16"), tmp_path / "frozen")
    path = directory / "model.safetensors"
    tensors = load_file(path)
    save_file(tensors, path, metadata={"format": "pt"})
    if int.from_bytes(path.read_bytes()[:8], "little") % 16:  # 8 more come before the payload
        save_file(tensors, path, metadata={"format": "pt", "more": "."})
    assert int.from_bytes(path.read_bytes()[:8], "little") % 16 == 0
    loaded = quantcli.load(directory)
    assert all(module.weight._data.data_ptr() % 16 == 0 for _, module in freezing.qmodules(loaded))
    freezing.run(loaded)


def mapped_spans(path: Path) -> list[tuple[int, int]]:
    """Return the address ranges at which this process has a file mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    lines = [line for line in lines if line.endswith(str(path))]
    spans = [line.split(maxsplit=1)[0].split("-") for line in lines]
    return [(int(start, 16), int(end, 16)) for start, end in spans]


def test_tensors_stay_in_the_file(frozen):
    directory = frozen("bert", "int8")
    loaded = quantcli.load(directory)
    pointers = {int(module.weight._data.data_ptr()) for _, module in freezing.qmodules(loaded)}
    spans = mapped_spans(directory / "model.safetensors")
    assert all(any(start <= pointer < end for start, end in spans) for pointer in pointers)


def test_modules_are_quantos(frozen, in_memory):
    from optimum.quanto import QConv2d, QLinear

    kinds = {name: type(module) for name, module in freezing.qmodules(in_memory("clip", "int8"))}
    for name, module in freezing.qmodules(quantcli.load(frozen("clip", "int8"))):
        assert issubclass(kinds[name], QLinear | QConv2d)
        assert isinstance(module, kinds.pop(name))
        assert module.frozen
        assert not module.weight.requires_grad
    assert not kinds
