"""Random weights with which every part of a model matters."""

from __future__ import annotations

from typing import Any

SEED = 0


def randomize(model: Any) -> None:
    """Draw the weights of a model anew, from a seed.

    A fresh model of transformers has small weights, zero biases and layer scales near zero: most
    layers hardly change what passes, and an error in them would not show. Here a matrix is normal
    with a deviation of 1 / sqrt(inputs), an embedding with one of 0.5; a vector of zeros becomes
    noise of 0.05, and one of tiny values 0.5. Other vectors and scalars stay as they are.
    """
    import torch

    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for module in model.modules():
            for parameter in module.parameters(recurse=False):
                if parameter.is_floating_point():
                    _draw(module, parameter, generator)


def _draw(module: Any, parameter: Any, generator: Any) -> None:
    from torch import nn

    if parameter.dim() < 2:
        largest = float(parameter.abs().max()) if parameter.numel() else 0.0
        if parameter.dim() == 1 and largest == 0:
            parameter.normal_(0, 0.05, generator=generator)
        elif parameter.dim() == 1 and largest < 0.1:
            parameter.fill_(0.5)
        return
    if max(parameter.shape) == parameter.numel():
        return  # a vector in the shape of a matrix: the norms of a parametrization
    deviation = 0.5 if isinstance(module, nn.Embedding) else _inputs(module, parameter) ** -0.5
    parameter.normal_(0, deviation, generator=generator)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        parameter[module.padding_idx].zero_()


def _inputs(module: Any, parameter: Any) -> int:
    """Return how many inputs each output of a matrix has."""
    from transformers.pytorch_utils import Conv1D

    if isinstance(module, Conv1D):
        return int(parameter.shape[0])
    if parameter.shape[0] == 1 or parameter.dim() == 3:
        return int(parameter.shape[-1])
    return int(parameter[0].numel())
