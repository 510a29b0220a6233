"""How much a model changes by noise of the size of int8's rounding."""

from __future__ import annotations

from typing import Any


def add_noise(model: Any, plan: Any, seed: int) -> None:
    """Move each weight that a plan quantizes by up to half a step of its row's scale, at random."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in plan.quantized:
            weight = model.get_parameter(tensor.name)
            largest = weight.abs().flatten(1).amax(1) if weight.dim() < 3 else weight.abs().amax(-1)
            step = largest.reshape(*largest.shape, *[1] * (weight.dim() - largest.dim())) / 127
            weight += step * (torch.rand(weight.shape, generator=generator) - 0.5)
