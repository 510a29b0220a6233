"""How near the outputs of two models are, and how near noise leaves them."""

from __future__ import annotations

import copy
from typing import Any

from zoo.small import Outputs, Small, run

NOISES = 5
"""Draws of noise, of which the worst counts: a choice of the model does not flip in each."""


def cosine(first: Any, second: Any) -> float:
    """Return the cosine of two outputs, 0 where they do not have the same shape."""
    from quantcli.comparison.metrics import vectors

    if first.shape != second.shape:
        return 0.0
    one, other = (side.double().nan_to_num().flatten().numpy() for side in (first, second))
    return float(vectors.cosine(one, other)) if one.any() else float(not other.any())


def cosines(original: Outputs, other: Outputs) -> dict[str, float]:
    """Return the cosine of each output that is more than a number."""
    return {
        name: cosine(tensor, other[name]) for name, tensor in original.items() if tensor.numel() > 1
    }


def differing(ours: Outputs, theirs: Outputs) -> list[str]:
    """List the outputs that differ in any bit."""
    import torch

    return [
        name
        for name, tensor in theirs.items()
        if tensor.shape != ours[name].shape
        or not torch.equal(tensor.nan_to_num(), ours[name].nan_to_num())
    ]


def lowest_with_noise(small: Small, plan: Any, output: str) -> float:
    """Return the lowest cosine of an output to itself under noise on the quantized weights."""
    values = []
    for seed in range(NOISES):
        noisy = copy.deepcopy(small.model)
        add_noise(noisy, plan, seed)
        values.append(cosine(small.outputs[output], run(noisy, small.inputs)[output]))
    return min(values)


def add_noise(model: Any, plan: Any, seed: int) -> None:
    """Move each weight that a plan quantizes by up to half a step of its row's scale, at random."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in plan.quantized:
            weight = model.get_parameter(tensor.name)
            largest = (
                weight.abs().flatten(1).amax(1) if weight.dim() != 3 else weight.abs().amax(-1)
            )
            step = largest.reshape(*largest.shape, *[1] * (weight.dim() - largest.dim())) / 127
            weight += step * (torch.rand(weight.shape, generator=generator) - 0.5)
