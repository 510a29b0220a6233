"""Intervals cover what they should, as often as they should."""

from __future__ import annotations

import numpy as np
import pytest

from quantcli.comparison.metrics.bootstrap import DRAWS, Bootstrap, interval, standard_error


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).normal(size=30)
    first, second, third = (interval(Bootstrap(30, seed=seed).mean(values)) for seed in (1, 1, 2))
    assert first == second
    assert first != third


def test_intervals_hold_the_truth_nineteen_times_in_twenty():
    generator = np.random.default_rng(5)
    held = 0
    for seed in range(300):
        low, high = interval(Bootstrap(60, seed=seed).mean(generator.normal(size=60)))
        held += low <= 0 <= high
    assert 0.90 <= held / 300 <= 0.98


def test_the_error_of_a_mean_is_that_of_the_formula():
    values = np.random.default_rng(0).normal(size=200)
    found = standard_error(Bootstrap(200, seed=0).mean(values))
    assert found == pytest.approx(values.std(ddof=1) / np.sqrt(200), rel=0.1)


def test_quantiles_are_those_of_the_drawn_values():
    """Every draw's quantile equals that of the values written out as often as they are drawn."""
    generator = np.random.default_rng(0)
    values, owners = generator.normal(size=40), np.repeat(np.arange(8), 5)
    bootstrap = Bootstrap(8, seed=0)
    found = bootstrap.quantile(values, owners, 0.9)
    counts = bootstrap._weights[:, owners].astype(int)
    for draw in range(0, DRAWS, 97):
        written_out = np.repeat(values, counts[draw])
        assert found[draw] == np.quantile(written_out, 0.9, method="inverted_cdf")


def test_tokens_of_a_text_are_drawn_together():
    """Two texts, one all right and one all wrong: the mean is 0, 1/2 or 1 and nothing between."""
    draws = Bootstrap(2, seed=0).ratio(np.array([0.0, 50.0]), np.array([50.0, 50.0]))
    assert set(draws.tolist()) == {0.0, 0.5, 1.0}


def test_values_without_spread_have_intervals_without_width():
    assert interval(Bootstrap(5, seed=0).mean(np.ones(5))) == (1.0, 1.0)
    rows = np.random.default_rng(0).normal(size=(9, 4))
    low, high = interval(Bootstrap(9, seed=0).spearman(rows, rows))
    assert (low, high) == pytest.approx((1.0, 1.0))
