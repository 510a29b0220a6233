"""Every output tensor against Quanto in memory, bit for bit."""

from __future__ import annotations

import json

import pytest
import torch
import transformers
from safetensors import safe_open

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
QTYPES = {
    "int8": "qint8",
    "int4": "qint4",
    "int2": "qint2",
    "float8": "qfloat8_e4m3fn",
    "float8_e5m2": "qfloat8_e5m2",
}
DEPARTURES = ("tied to", "its own forward", "would not be smaller")
"""Why a module that Quanto quantizes may be kept."""


@torch.no_grad()
def reference(folder, qtype, *, dtype="auto", optimizer=None, keep=()):
    """Return Quanto's state dict and that of the model before, as from_pretrained loads it."""
    from optimum import quanto

    config = json.loads((folder / "config.json").read_text())
    model_class = getattr(transformers, config["architectures"][0])
    model = model_class.from_pretrained(folder, dtype=dtype)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    quanto.quantize(
        model, weights=quanto.qtypes[qtype], optimizer=optimizer, exclude=list(keep) or None
    )
    for module in model.modules():
        if isinstance(module, quanto.QModuleMixin):
            freeze(module)
    return model.state_dict(), before


def freeze(module):
    """Freeze as Quanto does; in its plain layout where its TinyGemm layout fails to."""
    from optimum import quanto

    rows = module.weight.shape[0]
    grouped = module.weight_group_size == 128 and module.weight_qtype == quanto.qint4
    if not (grouped and module.weight.dtype == torch.bfloat16 and rows % 16):
        module.freeze()
        return
    weight, group_size = module.weight.detach(), module.weight_group_size
    scale, shift = module.optimizer(weight, qtype=quanto.qint4, axis=0, group_size=group_size)
    module.weight = torch.nn.Parameter(
        quanto.quantize_weight(weight, quanto.qint4, 0, scale, shift, group_size, optimized=False)
    )


def stored(folder):
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return tensors


def same(one, other):
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    raw = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)]
    return torch.equal(*raw)


def check(frozen, folder, qtype, **options):
    """Compare a frozen directory with the reference, and its plan with both."""
    kept = [
        tensor.module
        for tensor in frozen.plan.tensors
        if tensor.action == "alias" or any(why in tensor.reason for why in DEPARTURES)
    ]
    expected, before = reference(folder, qtype, keep=kept, **options)
    found = stored(frozen.output)
    assert sum(tensor.nbytes for tensor in found.values()) == frozen.plan.nbytes
    for tensor in frozen.plan.tensors:
        if tensor.action in ("alias", "compute"):
            assert tensor.name not in found
            continue
        source = expected if tensor.action == "quantize" else before
        for entry in tensor.stored:
            assert same(found.pop(entry.name), source[entry.name]), entry.name
    assert not found
    written = {entry.name for tensor in frozen.plan.tensors for entry in tensor.stored}
    assert {name for name in expected if "._" in name} <= written


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
