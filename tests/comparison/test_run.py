"""What a run notes beside the metrics: randomness, modules that no sample reaches, lost samples."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from optimum.quanto import freeze, qint8, quantize
from torch import nn

import quantcli
from quantcli.comparison.engine.reached import Reached
from quantcli.comparison.engine.seeds import seeded
from quantcli.comparison.families.labels import Labels
from quantcli.comparison.reports import annotate, junit, markdown, to_json

FEW = {"samples": 3}


@pytest.fixture
def masked_autoencoder(tmp_path):
    """A model that draws random numbers in its forward pass: which patches it leaves out."""
    from transformers import ViTMAEConfig, ViTMAEModel

    config = ViTMAEConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
    )
    torch.manual_seed(0)
    ViTMAEModel(config).save_pretrained(tmp_path / "mae")
    return tmp_path / "mae"


def test_a_model_that_draws_random_numbers_is_exactly_itself(masked_autoencoder):
    report = quantcli.compare(masked_autoencoder, masked_autoencoder, samples=FEW)
    cosines = [m for name, m in report.comparison.metrics.items() if name.startswith("cosine_")]
    assert cosines
    assert all(measured.value == 1.0 for measured in cosines)
    assert not [notice for notice in report.comparison.notices if "deterministic" in notice]


def test_a_model_that_no_seed_makes_repeat_itself_is_named(tiny_model, monkeypatch):
    run, count = Labels.run, iter(range(1000))

    def unsteady(family, *arguments):
        found = run(family, *arguments)
        return {name: tensor + next(count) for name, tensor in found.items()}

    monkeypatch.setattr(Labels, "run", unsteady)
    folder = tiny_model("bert-classifier")
    notices = quantcli.compare(folder, folder, samples=FEW).comparison.notices
    (said,) = [notice for notice in notices if "deterministic" in notice]
    assert said.startswith(f"{folder} is not deterministic: logits changed")


def _numpy():
    return np.random.get_state()[1].tolist()  # noqa: NPY002 - what models draw from


def test_seeds_leave_the_callers_random_numbers_alone():
    states = random.getstate(), _numpy(), torch.get_rng_state().tolist()
    drawn = []
    for _ in range(2):
        with seeded(2**32 + 7):
            drawn.append((random.random(), float(np.random.rand()), float(torch.rand(()))))  # noqa: NPY002
    assert drawn[0] == drawn[1]
    after = random.getstate(), _numpy(), torch.get_rng_state().tolist()
    assert states == after


class Experts(nn.Module):
    """Two layers of which the input chooses one, attention that bypasses its own output layer."""

    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.unused = nn.Linear(8, 24)

    def forward(self, x, expert):
        assert self.unused.weight.dtype == torch.float32  # to look at a weight is not to use it
        return self.attention(*3 * [self.experts[expert](x)])[0]


def test_modules_are_reached_one_by_one():
    model = Experts().eval()
    quantize(model, weights=qint8)
    freeze(model)
    reached = Reached(model)
    assert reached.share == 0
    x = torch.randn(1, 3, 8)
    with torch.inference_mode(), reached.watch():
        model(x, 1)
    assert reached.unreached == ("experts.0", "unused")
    assert reached.share == pytest.approx(128 / (64 + 64 + 64 + 192))
    with torch.inference_mode():
        model(x, 0)
    assert reached.unreached == ("unused",)
    assert not [m for m in model.modules() if m._forward_pre_hooks and m is not model.unused]


def test_a_model_without_quantized_modules_has_no_share():
    assert Reached(nn.Linear(2, 2)).share is None


def test_what_no_sample_reached_is_in_every_report(tiny_model, freeze, monkeypatch):
    from quantcli.comparison.families.embeddings import Embedding

    feeds = Embedding.feeds
    monkeypatch.setattr(
        Embedding,
        "feeds",
        lambda family, setting: (
            [feed for feed in feeds(family, setting)[0] if feed.output == "text"],
            True,
        ),
    )
    folder = tiny_model("clip")
    frozen = freeze(folder, "int8")
    report = quantcli.compare(folder, frozen, samples=FEW, gates={"min_exercised": 0.99})
    found = to_json(report)
    share = found["metrics"]["exercised"]
    assert 0 < share < 0.99
    assert found["unreached"]
    assert all(name.startswith(("vision_model.", "visual_")) for name in found["unreached"])
    assert not report.passed
    assert report.judgement.failed[0].message.startswith("exercised is 0.")
    (notice,) = [text for text in found["notices"] if text.startswith("no sample reached ")]
    assert "quantized modules" in notice
    pattern = "vision_model.encoder.layers.*.mlp.fc1"
    assert f"| `{pattern}` |" in markdown(report)
    assert pattern in junit(report)
    assert any("not exercised" in line and pattern in line for line in annotate(report))


@pytest.mark.parametrize("kind", ["mixtral", "gpt2", "t5-tied"])
def test_modules_that_keep_their_class_are_reached(tiny_model, freeze, kind):
    folder = tiny_model(kind)
    frozen = freeze(folder, "int8", embeddings="int8")
    found = quantcli.compare(folder, frozen, samples=FEW).comparison
    assert (found.metrics["exercised"].value, found.unreached) == (1.0, ())


def test_a_lost_sample_is_counted_once(tiny_model, monkeypatch):
    from quantcli.comparison.families.whole import AllOutputs

    run, calls = AllOutputs.run, iter(range(1000))

    def broken(family, model, feed, clock, reference):
        found = dict(run(family, model, feed, clock, reference))
        if reference is not None and (number := next(calls)) > 0:  # the first one warms up
            name = list(found)[number - 1]
            found[name] = found[name] * float("nan")
        return found

    monkeypatch.setattr(AllOutputs, "run", broken)
    folder = tiny_model("bert")
    samples = {"samples": 2, "task": "outputs"}
    comparison = quantcli.compare(folder, folder, samples=samples).comparison
    assert list(comparison.nonfinite.values()) == [1, 1]
    assert comparison.lost == 2
    assert not [name for name in comparison.metrics if name.startswith("cosine_")]


def test_a_kernel_whose_outputs_are_not_finite_fails(tiny_model, freeze, monkeypatch):
    from quantcli.kernels import int8

    product = int8.Product.__call__

    def broken(self, inputs, bias):
        return product(self, inputs, bias) * torch.nan

    monkeypatch.setattr(int8.Product, "__call__", broken)
    folder = tiny_model("bert")
    frozen = freeze(folder, "int8")
    exact = quantcli.compare(folder, frozen, samples=FEW, kernels="quanto")
    assert (exact.passed, exact.comparison.kernels) == (True, "quanto kernels")
    fast = quantcli.compare(folder, frozen, samples=FEW, kernels="auto")
    assert (fast.passed, fast.comparison.kernels) == (False, "auto kernels")
    assert all(verdict.metric.startswith("nonfinite_") for verdict in fast.judgement.failed)
