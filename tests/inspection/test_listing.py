"""Which tensors are asked for, and in which order they are listed."""

from __future__ import annotations

import pytest

from quantcli.errors import UsageError
from quantcli.inspection import SORTS, TensorError, TensorInspection, in_order
from quantcli.inspection.selection import select

NAMES = ["embed.weight", "layers.0.a.weight", "layers.0.a.bias", "layers.1.a.weight", "layers.10.w"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        pytest.param([], NAMES, id="all"),
        pytest.param(["*.weight"], ["embed.weight", NAMES[1], NAMES[3]], id="glob"),
        pytest.param(["layers.1"], [NAMES[3]], id="module"),
        pytest.param(["layers.1", "embed*"], ["embed.weight", NAMES[3]], id="in the model's order"),
        pytest.param(["layers.0.a.bias"], ["layers.0.a.bias"], id="name"),
    ],
)
def test_patterns(patterns, expected):
    assert select(NAMES, patterns) == expected


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        pytest.param("layers.0.a.wieght", "did you mean layers.0.a.weight?", id="tensor"),
        pytest.param("layer.0.a", "did you mean layers.0.a?", id="module"),
        pytest.param("nothing.*", "names are like layers.0.a.bias", id="glob"),
    ],
)
def test_a_pattern_that_matches_nothing(pattern, hint):
    with pytest.raises(UsageError) as raised:
        select(NAMES, ["embed.weight", pattern])
    assert raised.value.message == f"no tensor matches {pattern}"
    assert raised.value.hint == hint


def tensor(name, nbytes=1, **sums):
    error = TensorError(**sums) if sums else None
    return TensorInspection(
        name=name, module="", dtype="float32", shape=(2,), bytes=nbytes, error=error
    )


GOOD = tensor("good", 3, values=2, signal=1e4, result=1e4, product=1e4, noise=1.0, max_error=0.1)
BAD = tensor("bad", 5, values=2, signal=1e2, result=1e2, product=90, noise=1.0, max_error=0.5)
EXACT = tensor("exact", 9, values=2, signal=1.0, result=1.0, product=1.0)
GONE = tensor("gone", 2, values=1, not_finite=1, not_finite_changed=1)
ZERO = tensor("zero", 2, values=2, result=1.0, noise=1.0, max_error=1.0)
ALIAS = tensor("alias", 0)
ALL = [ALIAS, EXACT, GOOD, BAD, GONE, ZERO]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        pytest.param("sqnr", "gone zero bad good exact alias", id="sqnr"),
        pytest.param("max-error", "gone zero bad good exact alias", id="max-error"),
        pytest.param("cosine", "gone zero bad good exact alias", id="cosine"),
        pytest.param("bytes", "exact bad good gone zero alias", id="bytes"),
        pytest.param("name", "alias bad exact gone good zero", id="name"),
        pytest.param("model", "alias exact good bad gone zero", id="model"),
    ],
)
def test_orders(order, expected):
    assert [each.name for each in in_order(ALL, order)] == expected.split()


@pytest.mark.parametrize("order", SORTS)
def test_no_order_loses_a_tensor(order):
    assert {each.name for each in in_order(ALL, order)} == {each.name for each in ALL}
