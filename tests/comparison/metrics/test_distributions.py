"""KL, likelihood and agreement against numpy in float64, and where they must be exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quantcli.comparison.metrics import distributions
from quantcli.comparison.metrics.sequences import common_prefix


def log_softmax(logits):
    x = np.asarray(logits, dtype=np.float64)
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


@pytest.fixture
def pair():
    torch.manual_seed(1)
    x = torch.randn(50, 1001) * 3
    return x, x + torch.randn_like(x) * 0.2


@pytest.mark.parametrize("chunk", [1 << 21, 3000], ids=["at once", "in chunks"])
def test_distances_are_those_of_numpy(pair, chunk, monkeypatch):
    monkeypatch.setattr(distributions, "CHUNK", chunk)
    found = distributions.distances(*pair)
    p, q = (log_softmax(side.numpy()) for side in pair)
    assert found.kl == pytest.approx((np.exp(p) * (p - q)).sum(axis=1), rel=1e-12)
    assert found.same_top.tolist() == (p.argmax(1) == q.argmax(1)).tolist()
    assert found.logit == pytest.approx(np.abs(pair[0].numpy() - pair[1].numpy()).max(1))


def test_likelihood_is_that_of_numpy(pair):
    tokens = torch.arange(50) * 7
    expected = -log_softmax(pair[0].numpy())[np.arange(50), tokens.numpy()]
    found = distributions.negative_log_likelihood(pair[0], tokens)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_the_same_logits_have_no_distance_at_all(pair, dtype):
    logits = pair[0].to(dtype)
    found = distributions.distances(logits, logits.clone())
    assert not found.kl.any()
    assert not found.logit.any()
    assert found.same_top.all()


def test_no_probability_is_cut_off():
    """A token that the original thinks impossible by e^-300 still counts."""
    x = torch.tensor([[0.0, -300.0]])
    y = torch.tensor([[0.0, -900.0]])
    assert distributions.distances(x, y).kl[0] == pytest.approx(600 * np.exp(-300), rel=1e-9)


def test_forbidden_tokens_are_no_difference():
    x = torch.tensor([[0.5, 1.0, -torch.inf]])
    found = distributions.distances(x, x.clone())
    assert (found.kl[0], found.logit[0]) == (0.0, 0.0)
    y = torch.tensor([[0.5, -torch.inf, 1.0]])
    assert distributions.distances(x, y).kl[0] == np.inf


def test_labels_that_do_not_exclude_each_other():
    x, y = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 2.0]])
    found = distributions.binary_distances(x, y)
    p, q = 0.5, 1 / (1 + np.exp(-1))
    expected = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert found.kl.tolist() == pytest.approx([expected, 0.0])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param([1, 2, 3], [1, 2, 3], 1.0, id="same"),
        pytest.param([1, 2, 3, 4], [1, 2, 9, 4], 0.5, id="differs"),
        pytest.param([1, 2], [1, 2, 3, 4], 0.5, id="stops before"),
        pytest.param([], [], 1.0, id="nothing"),
        pytest.param([], [1], 0.0, id="one nothing"),
    ],
)
def test_common_prefix(first, second, expected):
    assert common_prefix(first, second) == expected
