"""Cosine, SQNR and rank correlation against independent arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from quantcli.comparison.metrics import bootstrap, vectors


@pytest.fixture
def generator():
    return np.random.default_rng(3)


@pytest.mark.parametrize("width", [1, 7, 384, 100_003])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_the_cosine_of_a_vector_with_itself_is_exactly_one(generator, width, size):
    x = generator.normal(size=width) * size
    assert vectors.cosine(x, x.copy()) == 1.0


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        pytest.param([1, 0], [0, 2], 0.0, id="at right angles"),
        pytest.param([1, 2], [-1, -2], -1.0, id="opposite"),
        pytest.param([3, 4], [4, 3], 0.96, id="between"),
        pytest.param([0, 0], [0, 0], 1.0, id="both zero"),
        pytest.param([0, 0], [1, 0], 0.0, id="one zero"),
    ],
)
def test_cosine(x, y, expected):
    found = vectors.cosine(np.array(x, dtype=float), np.array(y, dtype=float))
    assert found == pytest.approx(expected, abs=1e-15)


def test_sqnr_is_in_decibels():
    x, y = np.array([100.0, 0.0]), np.array([100.0, 1.0])
    assert vectors.sqnr(x, y) == pytest.approx(40.0)
    assert vectors.sqnr(x, x) == math.inf
    assert vectors.sqnr(x * 0, y) == -math.inf


def test_ranks_share_ties(generator):
    values = generator.integers(0, 20, size=200).astype(float)
    assert vectors.ranks(values) + 1 == pytest.approx(rankdata(values))


def test_spearman_is_that_of_scipy(generator):
    x = generator.normal(size=(20, 8))
    y = x + generator.normal(size=x.shape) * 0.3
    pairs = [np.array(similarities(rows)) for rows in (x, y)]
    assert bootstrap.spearman(x, y) == pytest.approx(spearmanr(*pairs).statistic, abs=1e-12)
    assert bootstrap.spearman(x, x) == pytest.approx(1.0, abs=1e-12)


def similarities(rows):
    return [
        float(a @ b / math.sqrt((a @ a) * (b @ b)))
        for i, a in enumerate(rows)
        for b in rows[i + 1 :]
    ]
