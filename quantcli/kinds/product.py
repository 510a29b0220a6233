"""The product of an input with a quantized matrix, as Quanto computes it where it can."""

from __future__ import annotations

from typing import Any

import torch
from optimum.quanto import WeightQBitsTensor

from quantcli.formats import Kernel, format_of
from quantcli.kernels import QUANTO, Runtime, products
from quantcli.upstream.quanto import is_quantized


def linear(
    input: torch.Tensor,  # noqa: A002 - torch's name
    weight: Any,
    bias: torch.Tensor | None = None,
    *,
    runtime: Runtime = QUANTO,
) -> torch.Tensor:
    """Return input @ weight.T + bias, for a quantized weight (outputs, inputs).

    Computed as the runtime says. Otherwise, and where there is no faster way, by Quanto, but with a
    dequantized weight where its own way fails.
    """
    if runtime is not QUANTO and not is_quantized(input):
        found = products.linear(input, weight, bias, runtime)
        if found is not None:
            return found
    kernel = _kernel(weight, input)
    if _quanto_fails(weight) or (kernel and not kernel.works(tuple(weight.shape))):
        output: torch.Tensor = torch.matmul(input, weight.dequantize().t())
        return output if bias is None else output + bias
    # the kernel refuses a transposed input, such as that of the attention in a VAE
    given = input.contiguous() if kernel else input
    return torch.nn.functional.linear(given, weight, bias)


def _quanto_fails(weight: Any) -> bool:
    # transposing this tensor subclass sets a version counter, which inference mode forbids, and
    # which mode it is cannot be compiled
    if type(weight) is not WeightQBitsTensor:
        return False
    return torch.compiler.is_compiling() or torch.is_inference_mode_enabled()


def _kernel(weight: Any, input: torch.Tensor) -> Kernel | None:  # noqa: A002 - torch's name
    """Return the kernel of the CPU that Quanto takes for 8-bit weights and an input like this."""
    weight_format = format_of(weight.qtype.name)
    kernel = weight_format.kernel
    if weight_format.is_grouped or kernel is None or input.device.type != "cpu":
        return None
    if is_quantized(input):
        return None
    return kernel if input.dtype is getattr(torch, kernel.dtype) else None
