"""The error of every tensor, in blocks of rows, is that of the whole tensors in memory."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil

import pytest
import torch
from messages import assert_says
from plain import assert_close, plain_error, states
from rare_models import one_label
from safetensors.torch import load_file, save_file

import quantcli
from quantcli.api.inspecting import inspect
from quantcli.errors import ModelError, UsageError
from quantcli.inspection import fold, in_order, values


@pytest.fixture
def _small_blocks(monkeypatch):
    monkeypatch.setattr(values, "BLOCK", 1000)


def assert_exact_numbers(original, frozen):
    before, after = states(original, frozen)
    found = inspect(frozen, against=original)
    compared = 0
    for tensor in found.tensors:
        if tensor.error is None:
            assert not tensor.is_stored, tensor.name
            continue
        compared += 1
        expected = plain_error(before[tensor.name], after[tensor.name])
        assert_close(tensor.error, expected, tensor.name)
        assert tensor.error.exact == torch.equal(
            before[tensor.name].double(), after[tensor.name].double()
        )
    assert compared
    return found


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("weights", ["int8", "int4", "int2", "float8", "float8_e5m2"])
@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama-tied", "mixtral", "resnet", "t5-untied"])
def test_numbers(tiny_model, freeze, kind, weights):
    original = tiny_model(kind)
    assert_exact_numbers(original, freeze(original, weights))


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("kind", ["bert", "mixtral", "gpt2"])
def test_numbers_of_bfloat16_in_blocks_of_the_usual_size(tiny_model, freeze, kind, weights):
    original = tiny_model(kind, "bfloat16")
    assert_exact_numbers(original, freeze(original, weights))


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("weights", ["int8", "int4", "int2"])
def test_a_weight_of_one_row(tmp_path, weights):
    one_label().save_pretrained(tmp_path / "model")
    quantcli.quantize(tmp_path / "model", weights=weights, output=tmp_path / "out")
    found = assert_exact_numbers(tmp_path / "model", tmp_path / "out")
    (head,) = (each for each in found.tensors if each.shape == (1, 384))
    assert head.qtype is not None
    assert not head.error.exact


def test_quantized_embeddings_of_a_tied_head(tiny_model, freeze):
    original = tiny_model("llama-tied")
    found = assert_exact_numbers(original, freeze(original, "int8", embeddings="int8"))
    by_name = {tensor.name: tensor for tensor in found.tensors}
    assert by_name["model.embed_tokens.weight"].qtype == "qint8"
    head = by_name["lm_head.weight"]
    assert (head.action, head.bytes, head.original_bytes, head.error) == ("alias", 0, 0, None)
    assert found.total.parameters == sum(
        each.numel for each in found.tensors if each.name != "lm_head.weight"
    )


def test_a_cast_is_an_error_too(tiny_model, freeze):
    original = tiny_model("bert")
    found = assert_exact_numbers(original, freeze(original, "int8", rest="bfloat16"))
    bias = next(each for each in found.tensors if each.name.endswith("query.bias"))
    assert bias.action == "cast"
    assert 30 < bias.error.sqnr_db < 70


@pytest.mark.parametrize("weights", ["int8", "int4", "float8"])
def test_the_size_of_blocks_changes_nothing(frozen, tiny_model, monkeypatch, weights):
    folder, original = frozen("gpt2", weights), tiny_model("gpt2")
    whole = inspect(folder, against=original)
    monkeypatch.setattr(values, "BLOCK", 100)
    taken = []
    monkeypatch.setattr(
        values.Workspace, "take", _watched(values.Workspace.take, taken), raising=True
    )
    small = inspect(folder, against=original, jobs=1)
    largest = max(math.prod(tensor.shape[1:]) for tensor in small.tensors)
    # a block is at least one row; strips of transposed matrices are apart
    assert max(n for name, n in taken if name != "strip") <= max(100, largest)
    for one, other in zip(whole.tensors, small.tensors, strict=True):
        if one.error is not None:
            assert one.error.saturated == other.error.saturated
            assert one.error.noise == pytest.approx(other.error.noise, rel=1e-12)
            assert one.error.signal == pytest.approx(other.error.signal, rel=1e-12)


def _watched(take, taken):
    def watched(workspace, name, dtype, numel):
        taken.append((name, numel))
        return take(workspace, name, dtype, numel)

    return watched


def test_modules_pool_the_sums_of_their_tensors(frozen, tiny_model):
    original, folder = tiny_model("llama-untied"), frozen("llama-untied", "int4")
    before, after = states(original, folder)
    found = inspect(folder, against=original)
    for module in fold(found, 3):
        names = [each.name for each in found.tensors if each.module.startswith(module.name)]
        names = [name for name in names if ".".join(name.split(".")[:-1][:3]) == module.name]
        both = ([*map(torch.flatten, map(state.get, names))] for state in (before, after))
        expected = plain_error(*map(torch.cat, both))
        assert_close(module.error, expected, module.name)


def test_a_share_is_of_the_whole_model(frozen):
    folder = frozen("bert", "int8")
    found = inspect(folder)
    manifest = json.loads((folder / "quantcli.json").read_text())
    assert found.bytes == manifest["footprint"]["quantized"]["bytes"]
    assert found.original_bytes == manifest["footprint"]["original"]["bytes"]
    assert sum(tensor.share for tensor in found.tensors) == pytest.approx(1)
    part = inspect(folder, ["encoder.layer.0"])
    assert not part.whole
    assert part.bytes == found.bytes
    assert part.total.share == pytest.approx(part.total.bytes / found.bytes)
    assert all(each.name.startswith("encoder.layer.0.") for each in part.tensors)


@pytest.mark.parametrize("kind", ["bert", "mixtral", "t5-tied", "gpt2"])
def test_an_original_takes_what_its_checkpoint_does(tiny_model, kind):
    folder = tiny_model(kind)
    found = inspect(folder)
    assert found.bytes == quantcli.size(folder, weights=["int8"]).original_bytes
    stored = load_file(folder / "model.safetensors").values()
    assert found.bytes == sum(each.nbytes for each in stored)
    assert not found.frozen
    assert all(tensor.error is None for tensor in found.tensors)
    assert {tensor.kind for tensor in found.tensors} > {"Linear"} or kind == "gpt2"


def test_two_originals(tiny_model):
    """A cast checkpoint against the one that it was cast from."""
    whole, half = tiny_model("bert"), tiny_model("bert", "float16")
    found = inspect(half, against=whole)
    before, after = load_file(whole / "model.safetensors"), load_file(half / "model.safetensors")
    for tensor in found.tensors:
        assert_close(
            tensor.error, plain_error(before[tensor.name], after[tensor.name]), tensor.name
        )
    assert found.bytes * 2 == found.original_bytes
    assert inspect(whole, against=whole).error.exact


def test_a_tensor_that_only_one_model_ties(tiny_model):
    untied, tied = tiny_model("llama-untied"), tiny_model("llama-tied")
    before, after = load_file(tied / "model.safetensors"), load_file(untied / "model.safetensors")
    expected = plain_error(before["model.embed_tokens.weight"], after["lm_head.weight"])
    (head,) = inspect(untied, ["lm_head"], against=tied).tensors
    assert_close(head.error, expected, head.name)
    (head,) = inspect(tied, ["lm_head"], against=untied).tensors
    assert head.bytes == 0
    assert head.error.noise == pytest.approx(head.error.values * expected.mse)


def edited(folder, target, change):
    """Copy a checkpoint with its tensors changed."""
    shutil.copytree(folder, target)
    tensors = load_file(target / "model.safetensors")
    change(tensors)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def test_values_that_are_not_finite_are_counted_and_come_first(tiny_model, tmp_path):
    original = tiny_model("bert")
    bad, good = "encoder.layer.1.output.dense.weight", "encoder.layer.0.output.dense.weight"

    def damage(tensors):
        tensors[bad][0, :2] = torch.tensor([math.nan, math.inf])
        tensors[good][3, 3] += 1

    folder = edited(original, tmp_path / "bad", damage)
    found = inspect(folder, against=original)
    first, second = in_order(found.tensors, "sqnr")[:2]
    assert (first.name, second.name) == (bad, good)
    assert (first.error.not_finite, first.error.not_finite_changed) == (2, 2)
    assert not first.error.exact
    assert first.error.noise == 0
    assert first.error.values == first.numel - 2
    back = inspect(folder, [bad], against=folder).tensors[0].error
    assert (back.not_finite, back.not_finite_changed, back.exact) == (2, 0, True)


def test_saturated_values_of_a_scale_alone(frozen, tiny_model):
    """Every row of int8 has at least its largest value at the end of the range."""
    folder, original = frozen("bert", "int8"), tiny_model("bert")
    stored = load_file(folder / "model.safetensors")
    for tensor in inspect(folder, against=original).tensors:
        if tensor.qtype is None:
            assert tensor.error.saturated_share is None
            continue
        codes = stored[f"{tensor.name}._data"].int()
        assert tensor.error.saturated == int((codes.abs() >= 127).sum()) >= tensor.shape[0]
        assert tensor.error.coded == tensor.numel


def test_saturated_values_of_a_scale_and_a_shift(frozen, tiny_model, tmp_path):
    """Values of the original that lie beyond the range of their group are saturated in int4."""
    folder, original = frozen("bert", "int4"), tiny_model("bert")
    name = "encoder.layer.0.attention.self.query.weight"
    assert inspect(folder, [name], against=original).tensors[0].error.saturated == 0

    def stretch(tensors):
        tensors[name][0, 5], tensors[name][1, 7] = 9.0, -9.0  # beyond both ends
        tensors[name][2, 9] = 0.0  # inside

    stretched = edited(original, tmp_path / "stretched", stretch)
    before = load_file(stretched / "model.safetensors")[name]
    after = states(stretched, folder)[1][name]
    # those two are saturated where their own code was the last or the first one
    row, high, low = after[0], after[0, 5] == after[0].max(), after[1, 7] == after[1].min()
    found = inspect(folder, [name], against=stretched).tensors[0].error
    assert row.numel() == before.shape[1]
    assert found.saturated == int(high) + int(low)

    def clip(tensors):
        ends = tensors[name].amax(dim=1, keepdim=True), tensors[name].amin(dim=1, keepdim=True)
        tensors[name][tensors[name] == ends[0]] += 1.0
        tensors[name][tensors[name] == ends[1]] -= 1.0

    clipped = edited(original, tmp_path / "clipped", clip)
    assert inspect(folder, [name], against=clipped).tensors[0].error.saturated == 2 * 128


def test_models_that_do_not_match(frozen, tiny_model, tmp_path):
    folder = frozen("bert", "int8")
    with pytest.raises(ModelError) as raised:
        inspect(folder, against=tiny_model("llama-tied"))
    assert_says(raised.value.message, "not the same model", "BertModel", "LlamaForCausalLM")
    assert "embeddings.word_embeddings.weight" in raised.value.message
    with pytest.raises(UsageError) as raised:
        inspect(folder, against=folder)
    assert "frozen" in raised.value.message
    with pytest.raises(UsageError) as raised:
        inspect(tiny_model("bert"), against=folder)
    assert raised.value.hint == f"quantcli inspect {folder} --against {tiny_model('bert')}"
    other = json.loads((tiny_model("bert") / "config.json").read_text())
    wider = tmp_path / "wider"

    def widen(tensors):
        for name in [*tensors]:
            if "intermediate.dense" in name:
                tensors[name] = torch.cat([tensors[name]] * 2)
            elif name.endswith("output.dense.weight") and "attention" not in name:
                tensors[name] = torch.cat([tensors[name]] * 2, dim=1)

    edited(tiny_model("bert"), wider, widen)
    (wider / "config.json").write_text(json.dumps(other | {"intermediate_size": 768}))
    with pytest.raises(ModelError) as raised:
        inspect(folder, against=wider)
    assert "encoder.layer.0.intermediate.dense.weight is [384, 128]" in raised.value.message


def test_the_class_that_was_frozen_is_what_is_compared(tiny_model, tmp_path):
    original = tiny_model("bert-classifier")
    out = tmp_path / "out"
    quantcli.quantize(original, weights="int8", output=out, class_name="BertModel")
    found = inspect(out, against=original)
    assert found.architecture == "BertModel"
    assert all(tensor.error is not None for tensor in found.tensors if tensor.is_stored)


def test_experts_are_compared_one_by_one_and_as_one(frozen, tiny_model):
    found = inspect(frozen("mixtral", "int4"), against=tiny_model("mixtral"))
    experts = [each for each in found.tensors if len(each.shape) == 3]
    assert len(experts) == 4
    assert all(each.qtype == "qint4" and each.error.sqnr_db > 10 for each in experts)


def test_an_inspection_is_plain_data(frozen):
    found = inspect(frozen("bert", "int8"))
    assert dataclasses.asdict(found)
    assert found.origin["source"]["model"]
    assert found.origin["recipe"]["weights"] == "int8"
