"""The tiny models are what their names say."""

from __future__ import annotations

import json

import pytest
import tiny
import torch
import transformers
from safetensors import safe_open


def tensors(folder):
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            found |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
    return found


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_transformers_loads_what_was_saved(kind, tiny_model):
    folder = tiny_model(kind)
    architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
    model, report = getattr(transformers, architecture).from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(report.values())
    built = tiny.build(kind).state_dict()
    loaded = model.state_dict()
    assert built.keys() == loaded.keys()
    assert all(torch.equal(built[name], loaded[name]) for name in built)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_dtype_is_that_of_the_stored_tensors(dtype, tiny_model):
    stored = tensors(tiny_model("bert", dtype))
    assert {tensor.dtype for tensor in stored.values()} == {getattr(torch, dtype)}


def test_t5_untied_is_the_flan_case(tiny_model):
    folder = tiny_model("t5-untied")
    stored = tensors(folder)
    assert not torch.equal(stored["lm_head.weight"], stored["shared.weight"])
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is False


def test_tied_heads_are_stored_once(tiny_model):
    assert "lm_head.weight" not in tensors(tiny_model("t5-tied"))
    assert "lm_head.weight" not in tensors(tiny_model("llama-tied"))
    assert "lm_head.weight" in tensors(tiny_model("llama-untied"))


def test_mixtral_stores_a_tensor_for_each_expert(tiny_model):
    stored = tensors(tiny_model("mixtral"))
    assert sum(".experts." in name for name in stored) == 2 * 4 * 3
    assert all(tensor.dim() <= 2 for tensor in stored.values())


def test_shards(tiny_model):
    folder = tiny_model("llama-untied", max_shard_size="500KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    assert tensors(folder).keys() == tensors(tiny_model("llama-untied")).keys()


def test_every_way_of_grouping_a_row_occurs():
    from optimum.quanto import qint4, quantize
    from optimum.quanto.nn import QModuleMixin

    sizes = set()
    for kind in ("bert", "clip", "llama-untied", "vit"):
        model = tiny.build(kind)
        quantize(model, weights=qint4)
        sizes |= {m.weight_group_size for m in model.modules() if isinstance(m, QModuleMixin)}
    assert sizes == {128, 96, 64, 32, None}
