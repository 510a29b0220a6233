"""Every family: a model is the same as itself, exactly, and nearly the same in int8."""

from __future__ import annotations

import math

import pytest
import tiny

import quantcli
from quantcli.comparison import tasks
from quantcli.comparison.metrics import ALWAYS, find_metric

TASKS = {
    "bert": "text-embedding",
    "bert-classifier": "text-classification",
    "bert-masked": "masked-lm",
    "clip": "text-image-embedding",
    "llama-untied": "causal-lm",
    "llama-tied": "causal-lm",
    "gpt2": "causal-lm",
    "t5-untied": "seq2seq-lm",
    "t5-tied": "seq2seq-lm",
    "vit": "image-classification",
    "resnet": "image-classification",
    "bit": "image-embedding",
    "mixtral": "causal-lm",
    "whisper": "speech-seq2seq",
}

FEW = {"samples": 4, "max_tokens": 6}

ONE = ("cosine_", "spearman_", "top1_", "generation_", "perplexity_ratio", "size_ratio")
ZERO = ("kl_", "max_logit_difference", "probability_rms", "perplexity_ratio_error")


def same(name: str) -> float | None:
    """Return what a metric must be, exactly, of a model and itself."""
    if name.startswith(ZERO):
        return 0.0
    return 1.0 if name.startswith(ONE) else None


def test_the_table_is_whole():
    assert TASKS.keys() == tiny.KINDS.keys()


@pytest.mark.parametrize("kind", TASKS)
def test_a_model_is_the_same_as_itself(kind, tiny_model):
    folder = tiny_model(kind)
    report = quantcli.compare(folder, folder, samples=FEW)
    comparison = report.comparison
    assert comparison.task == TASKS[kind]
    assert comparison.synthetic
    values = {name: measured.value for name, measured in comparison.metrics.items()}
    known = (*tasks.TASKS[comparison.task].metrics, *ALWAYS)
    assert not [name for name in values if find_metric(name, known) is None]
    expected = {name: same(name) for name in values if same(name) is not None}
    assert expected
    for name, value in expected.items():
        # a rank correlation is a quotient of sums
        exact = 1e-12 if name.startswith("spearman") else 0.0
        assert values[name] == pytest.approx(value, abs=exact, rel=0), name
    assert all(text.same for text in comparison.generated)


@pytest.mark.parametrize("kind", TASKS)
def test_a_frozen_model_is_nearly_the_same(kind, tiny_model, freeze):
    folder = tiny_model(kind)
    report = quantcli.compare(folder, freeze(folder, "int8"), samples=FEW)
    metrics = report.comparison.metrics
    for name, measured in metrics.items():
        if name.startswith("cosine_"):
            assert measured.value > 0.999
        if name == "kl_mean":
            assert 0 <= measured.value < 0.05
        if measured.low is not None and not math.isnan(measured.low):
            assert measured.low <= measured.value + 1e-12, name
            assert measured.value <= measured.high + 1e-12, name
    # a model of convolutions with a forward of their own is kept as it is
    assert metrics["size_ratio"].value <= 1.0
    assert metrics["coverage"].value == pytest.approx(quantized_share(report))


def quantized_share(report) -> float:
    frozen = quantcli.size(report.comparison.quantized.model)
    return frozen.predictions[0].coverage


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype, tiny_model, freeze):
    folder = tiny_model("llama-untied", dtype)
    report = quantcli.compare(folder, freeze(folder, "int8"), samples=FEW)
    assert 0 < report.comparison.metrics["kl_mean"].value < 0.01


def test_two_frozen_directories(tiny_model, freeze):
    folder = tiny_model("bert")
    report = quantcli.compare(freeze(folder, "int8"), freeze(folder, "int2"), samples=FEW)
    assert report.comparison.metrics["cosine_text"].value < 0.999
    assert report.comparison.original.weights == "int8"


def test_any_other_model_is_compared_by_its_outputs(tiny_model, freeze):
    folder = tiny_model("bert")
    found = quantcli.compare(
        folder, freeze(folder, "int8"), samples={**FEW, "task": "outputs"}
    ).comparison.metrics
    assert found["cosine_last_hidden_state"].value > 0.999
    assert 20 < found["sqnr_pooler_output"].value < 80
    itself = quantcli.compare(folder, folder, samples={**FEW, "task": "outputs"}).comparison
    assert itself.metrics["sqnr_last_hidden_state"].value == math.inf


@pytest.mark.parametrize("kind", ["clip", "t5-tied", "vit", "whisper", "resnet", "mixtral"])
def test_outputs_of_every_kind(kind, tiny_model):
    folder = tiny_model(kind)
    found = quantcli.compare(folder, folder, samples={**FEW, "task": "outputs"}).comparison
    cosines = [m.value for name, m in found.metrics.items() if name.startswith("cosine_")]
    assert cosines
    assert set(cosines) == {1.0}


def test_the_seed_makes_the_samples(tiny_model):
    folder = tiny_model("bert")
    hashes = [
        quantcli.compare(folder, folder, samples={**FEW, "seed": seed}).comparison.sample_hash
        for seed in (0, 0, 1)
    ]
    assert hashes[0] == hashes[1] != hashes[2]
