"""The product of an input with a quantized matrix, as Quanto computes it where it can."""

from __future__ import annotations

from typing import Any

import torch
from optimum.quanto import WeightQBitsTensor

from quantcli.formats import format_of


def linear(input: torch.Tensor, weight: Any, bias: torch.Tensor | None = None) -> torch.Tensor:  # noqa: A002 - torch's name
    """Return input @ weight.T + bias, for a quantized weight (outputs, inputs).

    Computed by Quanto, but with a dequantized weight where its own way fails.
    """
    if kernel_fails(weight, input):
        output: torch.Tensor = torch.matmul(input, weight.dequantize().t())
        return output if bias is None else output + bias
    return torch.nn.functional.linear(input, weight, bias)


def kernel_fails(weight: Any, input: torch.Tensor) -> bool:  # noqa: A002 - torch's name
    """Return whether Quanto's own product with a quantized weight fails for an input like this."""
    if type(weight) is WeightQBitsTensor:
        # transposing this tensor subclass sets a version counter, which inference mode forbids
        return torch.is_inference_mode_enabled()
    weight_format = format_of(weight.qtype.name)
    kernel = weight_format.kernel
    if weight_format.is_grouped or kernel is None or input.device.type != "cpu":
        return False
    return input.dtype is getattr(torch, kernel.dtype) and not kernel.works(tuple(weight.shape))
