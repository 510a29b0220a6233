"""Numbers as text: in a unit that they share, and none is lost."""

from __future__ import annotations

import math

import pytest

from quantcli.explanation.figures import decibels, exact, scaled


@pytest.mark.parametrize(
    ("values", "texts", "unit"),
    [
        pytest.param([0.25, -1.5], ("0.250", "-1.500"), "", id="plain"),
        pytest.param([1, -20, 0], ("1", "-20", "0"), "", id="whole"),
        pytest.param([0.0012, -0.00005], ("1.200", "-0.050"), " [1e-3]", id="small"),
        pytest.param([2e-7], ("200.0",), " [1e-9]", id="tiny"),
        pytest.param([0.0, -0.0], ("0", "0"), "", id="zeros"),
        pytest.param([-0.00001, 1.0], ("0.000", "1.000"), "", id="no-negative-zero"),
        pytest.param([None, 0.5], ("-", "0.5000"), "", id="none"),
        pytest.param([math.inf, 2.0], ("inf", "2.000"), "", id="infinite"),
        pytest.param([3.5e9], ("3.500",), " [1e9]", id="large"),
        pytest.param([], (), "", id="nothing"),
    ],
)
def test_scaled(values, texts, unit):
    found = scaled(values)
    assert (found.texts, found.unit) == (texts, unit)


def test_exact_numbers_keep_their_digits():
    assert exact([-448.0, 0.8125, 2**-9]).texts == ("-448", "0.8125", "0.001953125")


def test_no_error_is_exact():
    assert [decibels(value) for value in (None, 44.76, -math.inf)] == ["exact", "44.8", "-"]
