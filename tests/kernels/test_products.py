"""Products by the kernels that `auto` takes, against the exact product."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from optimum.quanto import WeightQBitsTensor

from quantcli.formats import format_named
from quantcli.kernels import Runtime, dynamic, int4, int8, products
from quantcli.kernels.machine import costs, has_int8_products
from quantcli.kernels.packed import PackedWeight
from quantcli.kinds.layout import FrozenWeight
from quantcli.kinds.weights import assemble
from quantcli.upstream.quanto import weight_parts

pytestmark = pytest.mark.skipif(costs() is None, reason="no kernels are known for this CPU")

AUTO = Runtime()
INT8 = Runtime(activations="int8")


def weight(name, shape, dtype=torch.bfloat16, group_size=None):
    """Return a random quantized weight, as it is assembled from stored parts."""
    frozen = FrozenWeight(weight_format=format_named(name), shape=shape, group_size=group_size)
    parts = {}
    for part, size in frozen.parts().items():
        if part.endswith("_data"):
            low, high = (-127, 128) if name == "int8" else (0, 256)
            stored = torch.int8 if name == "int8" else torch.uint8
            parts[part] = torch.randint(low, high, size).to(stored)
        else:
            largest = 3 if name == "int2" else 15
            factor = largest / 2 if part == "_shift" else 1
            parts[part] = ((torch.rand(size) * 0.01 + 0.01) * factor).to(dtype)
    return assemble(frozen, parts)


def product(inputs, quantized, bias=None, runtime=AUTO):
    found = products.linear(inputs, products.ready(quantized, runtime), bias, runtime)
    assert found is not None
    return found


def error(found, inputs, quantized, bias=None):
    """Return the error relative to the exact product of the dequantized weight."""
    exact = inputs.double() @ quantized.dequantize().double().T
    exact = exact if bias is None else exact + bias.double()
    return float((found.double() - exact).norm() / exact.norm())


ROWS = [1, 3, 8, 9, 48, 49, 130]


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("shape", [(64, 96), (37, 53), (192, 576)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_int8(rows, shape, dtype):
    quantized = weight("int8", shape, dtype)
    inputs, bias = torch.randn(rows, shape[1]).to(dtype), torch.randn(shape[0]).to(dtype)
    limit = 1e-5 if dtype == torch.float32 else 0.005
    assert error(product(inputs, quantized), inputs, quantized) < limit
    assert error(product(inputs, quantized, bias), inputs, quantized, bias) < limit


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(
    ("shape", "group_size"),
    [
        pytest.param((64, 128), None, id="one group"),
        pytest.param((128, 256), 128, id="128, which Quanto packs"),
        pytest.param((192, 576), 96, id="96, which is split"),
        pytest.param((64, 192), 64, id="64"),
        pytest.param((64, 96), 32, id="32"),
    ],
)
@pytest.mark.parametrize("name", ["int4", "int2"])
def test_groups(name, shape, group_size, rows):
    quantized = weight(name, shape, group_size=group_size)
    inputs, bias = torch.randn(rows, shape[1]).bfloat16(), torch.randn(shape[0]).bfloat16()
    plain = error(inputs @ quantized.dequantize().T, inputs, quantized)
    assert error(product(inputs, quantized), inputs, quantized) < max(0.01, 2 * plain)
    assert error(product(inputs, quantized, bias), inputs, quantized, bias) < max(0.01, 2 * plain)


def test_blocks_of_rows_are_put_together(monkeypatch):
    monkeypatch.setattr(int8, "BLOCK", 1000)
    monkeypatch.setattr(int4, "BLOCK", 1 << 14)
    monkeypatch.setattr(int4, "PACKED", 1 << 13)
    inputs = torch.randn(60, 96).bfloat16()
    for quantized in (weight("int8", (320, 96)), weight("int4", (320, 96), group_size=32)):
        assert error(product(inputs, quantized), inputs, quantized) < 0.01


@pytest.mark.parametrize("group_size", [32, 96, None])
@pytest.mark.parametrize("name", ["int4", "int2"])
def test_a_packed_weight_is_stored_as_it_was(name, group_size):
    quantized = weight(name, (128, 96), group_size=group_size)
    packed = products.ready(quantized, AUTO)
    assert type(packed) is PackedWeight
    assert (packed.shape, packed.stride(), packed.dtype) == (
        quantized.shape,
        quantized.stride(),
        quantized.dtype,
    )
    before, after = weight_parts(quantized), weight_parts(packed)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[part], after[part]) for part in before)
    assert torch.equal(packed.dequantize(), quantized.dequantize())
    assert torch.equal(packed + 0, quantized.dequantize())
    assert type(packed.weight_qbits_tensor()) is WeightQBitsTensor
    again = pickle.loads(pickle.dumps(packed))
    assert type(again) is PackedWeight
    assert torch.equal(again.dequantize(), quantized.dequantize())


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "group_size"),
    [
        pytest.param("int4", (64, 96), torch.float32, 32, id="float32"),
        pytest.param("int4", (48, 96), torch.bfloat16, 32, id="rows that are no blocks"),
        pytest.param("int4", (64, 40), torch.bfloat16, None, id="columns that are no groups"),
        pytest.param("int8", (64, 96), torch.float16, None, id="float16"),
        pytest.param("float8", (64, 96), torch.bfloat16, None, id="float8"),
        pytest.param("int8", (1, 96), torch.bfloat16, None, id="one scale"),
    ],
)
def test_what_no_kernel_takes_is_quantos(name, shape, dtype, group_size):
    if name == "float8":
        data = torch.randn(shape).to(torch.float8_e4m3fn)
        frozen = FrozenWeight(weight_format=format_named(name), shape=shape, group_size=None)
        scale = torch.full((shape[0], 1), 0.01, dtype=dtype)
        quantized = assemble(frozen, {"_data": data, "_scale": scale})
    else:
        quantized = weight(name, shape, dtype, group_size)
    assert products.ready(quantized, AUTO) is quantized
    assert products.linear(torch.randn(3, shape[1]).to(dtype), quantized, None, AUTO) is None


def test_inputs_may_be_transposed():
    inputs = torch.randn(96, 7).bfloat16().T
    for quantized in (weight("int8", (64, 96)), weight("int4", (64, 96), group_size=32)):
        assert error(product(inputs, quantized), inputs, quantized) < 0.01


def test_inputs_of_another_dtype_are_quantos():
    assert products.linear(torch.randn(3, 96), weight("int8", (64, 96)), None, AUTO) is None


def test_the_gradient_of_the_inputs():
    for quantized in (weight("int8", (64, 96)), weight("int4", (64, 96), group_size=32)):
        inputs = torch.randn(2, 5, 96).bfloat16().requires_grad_()
        bias = torch.randn(64).bfloat16().requires_grad_()
        product(inputs, quantized, bias).float().sum().backward()
        expected = quantized.dequantize().float().sum(dim=0)
        assert torch.allclose(inputs.grad.float(), expected.expand(2, 5, 96), rtol=0.02, atol=0.05)
        assert torch.equal(bias.grad, torch.full((64,), 10.0).bfloat16())


def test_threads_do_not_share_memory():
    cases = [
        (torch.randn(64, 192).bfloat16(), weight(name, (256, 192), group_size=size))
        for name, size in (("int8", None), ("int4", 64), ("int8", None), ("int2", 32))
    ]
    expected = [product(*case) for case in cases]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            found = pool.map(lambda case: product(*case), cases)
            assert all(map(torch.equal, found, expected))


def test_memory_of_inference_mode_is_of_use_outside():
    quantized = weight("int8", (64, 96))
    inputs = torch.randn(64, 96).bfloat16()
    with torch.inference_mode():
        inside = product(inputs, quantized)
    assert torch.equal(product(inputs, quantized), inside)


class TestQuantizedInputs:
    pytestmark = pytest.mark.skipif(not has_int8_products(), reason="this CPU has no VNNI")

    @pytest.mark.parametrize("rows", [1, 9, 40])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
    def test_they_are_rounded_row_by_row(self, rows, dtype):
        quantized = weight("int8", (64, 96), dtype)
        inputs = (torch.randn(rows, 96) * torch.logspace(1, 4, rows)[:, None]).to(dtype)
        bias = torch.randn(64).to(dtype)
        found = product(inputs, quantized, bias, INT8)
        assert found.dtype == dtype
        step = inputs.float().abs().amax(dim=1, keepdim=True) / 127
        rounded = (inputs.float() / step).round().mul(step)
        limit = 1e-3 if dtype == torch.float32 else 0.01
        assert error(found, rounded, quantized, bias) < limit
        exact = dtype == torch.bfloat16 and rows == 1
        assert exact or 0.001 < error(found, inputs, quantized, bias) < 0.03

    def test_rows_of_zeros_and_what_is_not_finite(self):
        quantized = weight("int8", (64, 96), torch.float32)
        inputs = torch.randn(4, 96)
        inputs[1], inputs[2, 3], inputs[3, 5] = 0, torch.nan, torch.inf
        found = product(inputs, quantized, None, INT8)
        assert found[0].isfinite().all()
        assert (found[1] == 0).all()
        assert not found[2:].isfinite().any()

    def test_groups_are_as_without(self):
        quantized = weight("int4", (64, 96), group_size=32)
        inputs = torch.randn(3, 96).bfloat16()
        assert torch.equal(product(inputs, quantized, None, INT8), product(inputs, quantized))

    def test_what_is_packed_is_not_copied(self):
        quantized = weight("int8", (64, 96), torch.float32)
        inputs = torch.randn(3, 96)
        found = product(inputs, quantized, None, INT8)
        assert isinstance(quantized.quantcli_product.multiply, dynamic.Product)
        assert copy.deepcopy(quantized.quantcli_product) is None
        again = pickle.loads(pickle.dumps(quantized))
        assert torch.equal(product(inputs, again, None, INT8), found)
