"""What is compared where the task of an architecture cannot be run, or nothing is known of it."""

from __future__ import annotations

import multimodal
import pytest
from messages import assert_says, refuses

import quantcli
from quantcli.comparison.engine.sides import Side
from quantcli.comparison.engine.ways import ways
from quantcli.comparison.families.family import UnsuitedError
from quantcli.comparison.tasks import TASKS

FEW = {"samples": 2, "max_tokens": 3}


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    def make(kind):
        return multimodal.save(kind, tmp_path_factory.mktemp(kind))

    return make


@pytest.mark.parametrize(
    ("kind", "outputs", "unreached"),
    [
        pytest.param(
            "sam",
            {"cosine_pred_masks", "cosine_iou_scores"},
            ["no sample reached 2"],  # which embed masks, and there are none
            id="sam",
        ),
        pytest.param(
            "musicgen",
            {"cosine_logits"},
            ["no sample reached 22"],  # of the codec, which does not make logits
            id="musicgen",
        ),
    ],
)
def test_models_of_no_task(kind, outputs, unreached, model, freeze):
    folder = model(kind)
    found = quantcli.compare(folder, freeze(folder, "int8"), samples=FEW).comparison
    random, *rest = found.notices
    assert found.task == "outputs"
    assert_says(random, "random", "config")
    assert [notice.partition(" quantized ")[0] for notice in rest] == unreached
    assert outputs <= found.metrics.keys()
    assert all(found.metrics[name].value > 0.99 for name in outputs)


def test_a_task_that_cannot_be_run_is_left_and_told(model):
    folder = model("fuyu")
    found = quantcli.compare(folder, folder, samples=FEW).comparison
    assert found.task == "causal-lm"
    why, random = found.notices
    assert_says(why, "FuyuForCausalLM", "causal-lm", "text alone")
    assert_says(random, "tokenizer", "random")


def test_a_task_that_was_asked_for_is_not(model):
    folder = model("fuyu")
    with refuses(quantcli.ModelError, "FuyuForCausalLM", hint="--task outputs"):
        quantcli.compare(folder, folder, samples={**FEW, "task": "image-text-to-text"})


def test_a_way_without_the_metrics_of_the_gates_is_passed_over(model):
    folder = model("fuyu")
    assert quantcli.compare(folder, folder, samples=FEW, gates={"max_kl": 0.1}).passed
    with pytest.raises(quantcli.UsageError, match=r"cosine_. is not measured for the task image"):
        quantcli.compare(folder, folder, samples=FEW, gates={"min_cosine": 0.5})


def test_gates_of_a_task_that_cannot_be_run(model, monkeypatch):
    """The reason why is worth more than that the outputs have no such metric."""
    from quantcli.comparison.engine import tasks

    folder = model("sam")
    with pytest.raises(quantcli.UsageError, match="kl_mean is not measured for the task outputs"):
        quantcli.compare(folder, folder, samples=FEW, gates={"max_kl": 1.0})
    monkeypatch.setattr(tasks, "_embeds", lambda _: True)
    with pytest.raises(quantcli.ModelError, match="SamModel returns no embedding"):
        quantcli.compare(folder, folder, samples=FEW, gates={"gate": ["spearman_image >= 0.5"]})
    found = quantcli.compare(folder, folder, samples=FEW).comparison
    assert found.task == "outputs"
    assert_says(found.notices[0], "SamModel", "no embedding", "outputs")


def test_a_quantized_model_that_cannot_be_run_is_an_error(tiny_model, monkeypatch):
    """Only the original decides what is compared."""
    load, loaded = Side.load, []

    def broken(side, device):
        model = load(side, device)
        loaded.append(model)
        if len(loaded) > 1:
            model.embeddings.word_embeddings.weight.data = model.embeddings.LayerNorm.weight.data
        return model

    monkeypatch.setattr(Side, "load", broken)
    folder = tiny_model("bert")
    with pytest.raises(quantcli.ModelError, match="cannot be run on") as caught:
        quantcli.compare(folder, folder, samples=FEW)
    assert not isinstance(caught.value, UnsuitedError)
    assert len(loaded) == 2


def test_the_order_of_ways():
    def order(task, **given):
        given = {"asked": False, "own_samples": False} | given
        return [way.task.name + " alone" * way.alone for way in ways(TASKS[task], **given)]

    outputs = ["outputs", "outputs alone"]
    assert order("masked-lm") == ["masked-lm", *outputs]
    assert order("outputs", asked=True) == outputs
    assert order("masked-lm", asked=True) == order("masked-lm", own_samples=True) == ["masked-lm"]
    assert order("image-text-to-text")[1:3] == ["outputs", "causal-lm"]


def test_the_first_error_is_told_where_no_way_works(tiny_model, monkeypatch):
    from quantcli.comparison.families import whole

    def refuse(*_):
        raise UnsuitedError("not like this either")

    monkeypatch.setattr(whole, "call", refuse)
    folder = tiny_model("bert")
    monkeypatch.setattr("quantcli.comparison.families.embeddings.call", lambda *_: object())
    with pytest.raises(quantcli.ModelError, match="BertModel returns no embedding") as caught:
        quantcli.compare(folder, folder, samples=FEW)
    assert caught.value.hint is None
