"""Metrics by name: of outputs, as patterns, and names that no metric has."""

from __future__ import annotations

import pytest

from quantcli.comparison.metrics import METRICS, any_metric, catalogue_name, find_metric


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("kl_mean", "kl_mean"),
        ("cosine_text", "cosine_*"),
        ("cosine_text_min", "cosine_*_min"),
        ("cosine_*", "cosine_*"),
        ("cosine_*_min", "cosine_*_min"),
        ("sqnr_hidden.0", "sqnr_*"),
    ],
)
def test_a_metric_by_name(name, pattern):
    assert catalogue_name(name) == pattern
    assert find_metric(name).name == name


@pytest.mark.parametrize("name", ["nonfinite_text", "kl_*", ""])
def test_names_without_a_metric(name):
    assert find_metric(name) is None
    assert catalogue_name(name) == any_metric(name).name == name


def test_names_are_unique():
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_a_ratio_is_a_metric():
    ratios = {metric.ratio for metric in METRICS if metric.ratio}
    assert ratios
    assert all(find_metric(name) for name in ratios)
