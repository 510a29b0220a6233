"""What frozen modules compute where Quanto's own kernels fail, against the dequantized weight."""

from __future__ import annotations

import pytest
import torch

from quantcli.kinds.unpack import TorchLibrary, use_torch_unpack


@pytest.fixture(autouse=True)
def _no_compiler():
    """Dequantize without compiling Quanto's extension, which takes a minute."""
    use_torch_unpack()


def test_rows_that_tinygemm_refuses():
    """Plain Quanto cannot freeze these in memory (`expect N to be dividable by 16`)."""
    from optimum.quanto import MaxOptimizer, qint4, quantize_weight

    from quantcli.kinds.registry import freeze

    linear = torch.nn.Linear(256, 24, dtype=torch.bfloat16)
    scale, shift = MaxOptimizer()(linear.weight, qtype=qint4, axis=0, group_size=128)
    weight = quantize_weight(linear.weight, qint4, 0, scale, shift, group_size=128, optimized=False)
    parts = {}
    weight.save_to_state_dict(parts, "", keep_vars=False)
    module = freeze(linear, {"weight": ("qint4", 128)}, adapted=False)
    module.weight = module.assemble("weight", parts)
    module.bias = linear.bias
    example = torch.randn(3, 256, dtype=torch.bfloat16)
    expected = example @ weight.dequantize().t() + linear.bias
    with torch.no_grad():
        assert torch.equal(module(example), expected)


@pytest.mark.parametrize("columns", [16, 20, 33, 100])
def test_columns_that_crash_torch(columns):
    """Quanto's in-memory int8 x bfloat16 ends the process for 20 and 100 columns."""
    from optimum.quanto import AbsmaxOptimizer, qint8, quantize_weight

    from quantcli.kinds.registry import freeze

    linear = torch.nn.Linear(columns, 24, dtype=torch.bfloat16)
    scale = AbsmaxOptimizer()(linear.weight, qtype=qint8, axis=0)
    weight = quantize_weight(linear.weight, qint8, 0, scale)
    module = freeze(linear, {"weight": ("qint8", None)}, adapted=False)
    module.weight = module.assemble("weight", {"_data": weight._data, "_scale": weight._scale})
    module.bias = linear.bias
    example = torch.randn(3, columns, dtype=torch.bfloat16)
    expected = example.float() @ weight.dequantize().float().t() + linear.bias
    with torch.no_grad():
        assert torch.allclose(module(example).float(), expected, atol=0.05)


@pytest.mark.parametrize("bits", [2, 4])
def test_unpack_as_quanto_does(bits):
    from optimum.quanto.tensor.packed import pack_weights

    values = torch.randint(0, 2**bits, (24, 5), dtype=torch.uint8)
    assert torch.equal(TorchLibrary.unpack(pack_weights(values, bits), bits), values)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_transposed_input_gives_what_a_contiguous_one_does(dtype):
    """The attention of a VAE has its channels first; Quanto's int8 kernel refuses that."""
    from optimum.quanto import QLinear, qint8

    from quantcli.kinds.registry import freeze

    linear = torch.nn.Linear(32, 16).to(getattr(torch, dtype)).eval()
    in_memory = QLinear.from_module(linear, weights=qint8)
    in_memory.freeze()
    module = freeze(linear, {"weight": ("qint8", None)}, adapted=False)
    module.weight, module.bias = in_memory.weight, linear.bias
    example = torch.randn(1, 32, 5, dtype=linear.weight.dtype).transpose(1, 2)
    with torch.no_grad():
        assert torch.allclose(module(example), in_memory(example.contiguous()))
