"""Every output tensor against Quanto in memory, bit for bit."""

from __future__ import annotations

import pytest
from freezing import QTYPES
from quanto_reference import check, reference, same, stored

import quantcli

KINDS = [
    "bert",
    "bert-classifier",
    "bert-masked",
    "bit",
    "clip",
    "gpt2",
    "llama-tied",
    "llama-untied",
    "mixtral",
    "resnet",
    "t5-tied",
    "t5-untied",
    "vit",
    "whisper",
]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("weights", list(QTYPES))
@pytest.mark.parametrize("kind", KINDS)
def test_equals_quanto(tiny_model, tmp_path, kind, weights, dtype):
    folder = tiny_model(kind, dtype)
    frozen = quantcli.quantize(
        folder, weights=weights, output=tmp_path / "out", allow_unquantized=True
    )
    assert frozen.plan.dtype == dtype
    check(frozen, folder, QTYPES[weights])


@pytest.mark.parametrize("weights", ["int4", "int2"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_hqq_equals_quanto(tiny_model, tmp_path, weights, dtype):
    from optimum.quanto import HqqOptimizer

    folder = tiny_model("clip", dtype)
    frozen = quantcli.quantize(
        folder, weights=weights, optimizer="hqq", output=tmp_path / "out", exclude=("*patch*",)
    )
    assert {tensor.optimizer for tensor in frozen.plan.quantized} == {"hqq"}
    expected, _ = reference(folder, QTYPES[weights], optimizer=HqqOptimizer(), keep=["*patch*"])
    found = stored(frozen.output)
    for tensor in frozen.plan.quantized:
        for entry in tensor.stored:
            assert same(found[entry.name], expected[entry.name]), entry.name


@pytest.mark.parametrize("rest", ["float16", "bfloat16"])
@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_rest_is_the_model_in_that_dtype(tiny_model, tmp_path, weights, rest):
    folder = tiny_model("whisper")
    frozen = quantcli.quantize(folder, weights=weights, rest=rest, output=tmp_path / "out")
    assert frozen.plan.dtype == rest
    check(frozen, folder, QTYPES[weights], dtype=rest)


@pytest.mark.parametrize("kind", ["mixtral", "resnet", "t5-untied"])
@pytest.mark.parametrize("weights", ["float16", "bfloat16"])
def test_downcast_is_the_model_in_that_dtype(tiny_model, tmp_path, kind, weights):
    folder = tiny_model(kind)
    frozen = quantcli.quantize(folder, weights=weights, output=tmp_path / "out")
    _, expected = reference(folder, "qint8", dtype=weights)
    found = stored(frozen.output)
    assert all(same(tensor, expected[name]) for name, tensor in found.items())
    assert frozen.plan.nbytes == sum(tensor.nbytes for tensor in found.values())
    assert frozen.plan.coverage == 0


def test_a_group_size_of_ones_own(tiny_model, tmp_path):
    from optimum.quanto import MaxOptimizer, qint4, quantize_weight

    folder = tiny_model("bert")
    frozen = quantcli.quantize(folder, weights="int4", group_size=64, output=tmp_path / "out")
    _, before = reference(folder, "qint8")
    found = stored(frozen.output)
    assert {tensor.group_size for tensor in frozen.plan.quantized} == {64}
    for tensor in frozen.plan.quantized:
        weight = before[tensor.name]
        scale, shift = MaxOptimizer()(weight, qint4, 0, group_size=64)
        expected = quantize_weight(weight, qint4, 0, scale, shift, 64, optimized=False)
        assert same(found[f"{tensor.name}._data._data"], expected._data._data)
        assert same(found[f"{tensor.name}._scale"], expected._scale)


@pytest.mark.parametrize("shards", ["one", "many"])
@pytest.mark.parametrize("jobs", [1, 3])
def test_shards_and_threads_do_not_change_a_byte(tiny_model, tmp_path, shards, jobs):
    folder = tiny_model("mixtral", max_shard_size="200KB")
    whole = quantcli.quantize(folder, weights="int4", output=tmp_path / "whole", jobs=2)
    size = {"one": 10**9, "many": 100_000}[shards]
    frozen = quantcli.quantize(
        folder, weights="int4", output=tmp_path / "out", max_shard_size=size, jobs=jobs
    )
    assert (len(frozen.plan.shards) > 1) == (shards == "many")
    one, other = stored(whole.output), stored(frozen.output)
    assert one.keys() == other.keys()
    assert all(same(one[name], other[name]) for name in one)
