"""Tensors taken together: bytes add up, and errors are pooled from sums."""

from __future__ import annotations

import math

import pytest

from quantcli.inspection import Inspection, TensorError, TensorInspection, fold, fold_layers, pooled

FIRST = TensorError(
    values=4,
    signal=100.0,
    result=81.0,
    product=90.0,
    noise=1.0,
    max_error=1.0,
    coded=4,
    saturated=1,
)
SECOND = TensorError(
    values=12, signal=2.0, result=8.0, product=4.0, noise=2.0, max_error=0.5, zeroed=3
)


def tensor(name, *, nbytes=8, shape=(2, 2), error=None, **more):
    module = name.rpartition(".")[0]
    return TensorInspection(
        name=name, module=module, dtype="float32", shape=shape, bytes=nbytes, error=error, **more
    )


@pytest.fixture
def model():
    tensors = (
        tensor("embed.weight", nbytes=100, share=0.5),
        tensor("layers.0.mlp.weight", error=FIRST, qtype="qint8", original_bytes=16, share=0.1),
        tensor("layers.0.mlp.bias", shape=(2,), original_bytes=8, share=0.1),
        tensor("layers.1.mlp.weight", error=SECOND, qtype="qint8", original_bytes=16, share=0.1),
        tensor("layers.1.mlp.bias", shape=(2,), original_bytes=8, share=0.1),
        tensor("head.weight", nbytes=0, action="alias", reason="same tensor as embed.weight"),
    )
    return Inspection(
        model="m", revision=None, architecture="M", frozen=True, bytes=132, tensors=tensors
    )


def test_errors_add_up_to_the_error_of_all_values():
    both = FIRST + SECOND
    assert both.values == 16
    assert both.sqnr_db == pytest.approx(10 * math.log10(102 / 3))
    assert both.sqnr_db != pytest.approx((FIRST.sqnr_db + SECOND.sqnr_db) / 2)
    assert both.mse == 3 / 16
    assert both.max_error == 1.0
    assert both.cosine == pytest.approx(94 / math.sqrt(102 * 89))
    assert both.zeroed_share == 3 / 16
    assert both.saturated_share == 1 / 4
    assert pooled([None, FIRST, SECOND]) == both
    assert pooled([None]) is None


def test_a_depth_is_a_number_of_parts(model):
    assert [each.name for each in fold(model, 1)] == ["embed", "layers", "head"]
    names = ["embed", "layers.0", "layers.1", "head"]
    assert [each.name for each in fold(model, 2)] == names
    assert [each.name for each in fold(model, 0)] == [""]
    names = ["embed", "layers.0.mlp", "layers.1.mlp", "head"]
    assert [each.name for each in fold(model)] == [each.name for each in fold(model, 9)] == names


def test_bytes_and_errors_are_summed(model):
    embed, layers, head = fold(model, 1)
    assert (layers.tensors, layers.bytes, layers.original_bytes) == (4, 32, 48)
    assert layers.parameters == 12
    assert layers.share == pytest.approx(0.4)
    assert layers.formats == {"int8": 16, "float32": 16}
    assert layers.error == FIRST + SECOND
    assert embed.original_bytes is None
    assert embed.error is None
    assert (head.bytes, head.parameters, head.tensors, head.original_bytes) == (0, 0, 1, 0)
    (whole,) = fold(model, 0)
    assert whole.bytes == model.total.bytes == 132
    assert whole.error == model.error == FIRST + SECOND


def test_layers_are_folded_where_their_tensors_look_alike(model):
    found = {each.name: each for each in fold_layers(model)}
    assert [*found] == ["embed.weight", "layers.*.mlp.weight", "layers.*.mlp.bias", "head.weight"]
    assert found["layers.*.mlp.weight"].tensors == 2
    assert found["layers.*.mlp.weight"].error == FIRST + SECOND


def test_layers_of_another_format_stay_apart():
    mixed = (tensor("a.0.weight", qtype="qint8"), tensor("a.1.weight", qtype="qint4", group_size=2))
    model = Inspection(
        model="m", revision=None, architecture="M", frozen=True, bytes=16, tensors=mixed
    )
    assert [each.name for each in fold_layers(model)] == ["a.0.weight", "a.1.weight"]


@pytest.mark.parametrize(
    ("error", "sqnr", "cosine", "exact"),
    [
        pytest.param(TensorError(), math.inf, 1.0, True, id="empty"),
        pytest.param(TensorError(values=2), math.inf, 1.0, True, id="zeros"),
        pytest.param(
            TensorError(values=2, result=1.0, noise=1.0, max_error=1.0),
            -math.inf,
            0.0,
            False,
            id="from zeros",
        ),
        pytest.param(
            TensorError(
                values=2, signal=math.inf, result=math.inf, product=math.nan, noise=math.inf
            ),
            -math.inf,
            0.0,
            False,
            id="overflow",
        ),
        pytest.param(
            TensorError(values=1, not_finite=1, not_finite_changed=1),
            math.inf,
            1.0,
            False,
            id="nan",
        ),
    ],
)
def test_no_figure_is_nan(error, sqnr, cosine, exact):
    assert error.sqnr_db == sqnr
    assert error.cosine == cosine
    assert error.exact is exact
    figures = error.figures()
    assert figures["exact"] is exact
    assert all(value is None or math.isfinite(value) for value in figures.values())
