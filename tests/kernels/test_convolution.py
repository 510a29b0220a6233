"""Convolutions with quantized images, against those with the same images rounded."""

from __future__ import annotations

import copy

import pytest
import torch
from optimum.quanto import qint8
from torch import nn

from quantcli.kernels import QUANTO, Runtime
from quantcli.kernels.machine import has_int8_products
from quantcli.kinds.registry import freeze

pytestmark = pytest.mark.skipif(not has_int8_products(), reason="this CPU has no AVX-512 VNNI")

INT8 = Runtime(activations="int8")


def frozen(runtime=INT8, **options):
    """Return a frozen convolution of 64 channels with random weights."""
    torch.manual_seed(0)
    given = {"in_channels": 64, "out_channels": 24, "kernel_size": 3, "padding": 1, **options}
    plain = nn.Conv2d(**given)
    from optimum.quanto import QConv2d

    quantized = QConv2d.from_module(plain, weights=qint8)
    quantized.freeze()
    found = freeze(plain, {"weight": ("qint8", None)}, adapted=False)
    found.load_state_dict(quantized.state_dict(), assign=True)
    found.runtime = runtime
    return found


def rounded(images):
    step = images.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
    return (images / step).round() * step


def images(count=2, size=12, channels=64):
    return (
        torch.randn(count, channels, size, size) * torch.logspace(0, 3, count)[:, None, None, None]
    )


def error(found, expected):
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="padded"),
        pytest.param({"stride": 2, "bias": False}, id="strided, without bias"),
        pytest.param({"dilation": 2}, id="dilated"),
        pytest.param({"kernel_size": (1, 9), "padding": (0, 4)}, id="not square"),
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_each_image_is_rounded_by_its_own_maximum(options, layout):
    module, exact = frozen(**options), frozen(QUANTO, **options)
    given = images().contiguous(memory_format=layout)
    with torch.no_grad():
        found, expected = module(given), exact(rounded(given))
        assert found.is_contiguous(memory_format=layout)
        for index in range(2):
            assert error(found[index], expected[index]) < 1e-4
            assert error(found[index], exact(given)[index]) > 1e-3
        assert torch.equal(found[:1], module(given[:1].clone()))
        again = copy.deepcopy(module)
        assert torch.equal(again(given), found)


@pytest.mark.parametrize(
    ("options", "channels"),
    [
        pytest.param({"in_channels": 3}, 3, id="few values in a filter"),
        pytest.param({"groups": 4}, 64, id="groups"),
        pytest.param({"padding_mode": "reflect"}, 64, id="padded with what is there"),
        pytest.param({"padding": "same"}, 64, id="padding in words"),
    ],
)
def test_what_is_not_faster_is_exact(options, channels):
    given = images(channels=channels)
    with torch.no_grad():
        assert torch.equal(frozen(**options)(given), frozen(QUANTO, **options)(given))


def test_gradients_go_through_the_exact_convolution():
    given = images().requires_grad_()
    frozen()(given).sum().backward()
    assert given.grad.isfinite().all()


def test_images_of_zeros_and_what_is_not_finite():
    given = images(3)
    given[0], given[1, 3, 4, 5] = 0, torch.inf
    with torch.no_grad():
        found = frozen(bias=False)(given)
    assert (found[0] == 0).all()
    assert not found[1].isfinite().any()
    assert found[2].isfinite().all()
