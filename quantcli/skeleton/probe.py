"""Does a subclass of Linear or Conv2d compute what the plain class does? Run both and see."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

ROWS, COLUMNS = 8, 24
"""The size at which a module is tried: what it computes does not depend on it."""


def computes_as(module: nn.Module, base: type[nn.Module]) -> bool:
    """Tell whether a module's own forward gives what `base.forward` gives on the same weights.

    Both run in float64 on random weights of a mean that is not zero, on inputs of several shapes;
    where the module's own fails, or gives no tensor, the answer is no.
    """
    import torch

    with torch.random.fork_rng(devices=[]), torch.no_grad(), torch.device("cpu"):
        torch.manual_seed(0)
        trial = _trial(module)
        return all(_agree(trial, base, example) for example in _examples(trial, base))


def _trial(module: nn.Module) -> nn.Module:
    """Return a copy of the module with small random weights in place of its own."""
    import torch
    from torch import nn

    trial = copy.copy(module)
    trial.__dict__["_parameters"] = dict(module._parameters)
    weight, bias = module._parameters["weight"], module._parameters.get("bias")
    assert weight is not None
    shape = tuple(weight.shape)
    if isinstance(module, nn.Linear):
        shape = (ROWS, COLUMNS)
        vars(trial).update(in_features=COLUMNS, out_features=ROWS)
    elif shape[0] > ROWS and vars(module)["groups"] == 1:
        shape = (ROWS, *shape[1:])
    trial._parameters["weight"] = nn.Parameter(torch.randn(shape, dtype=torch.float64) + 0.5)
    if bias is not None:
        trial._parameters["bias"] = nn.Parameter(torch.randn(shape[0], dtype=torch.float64))
    return trial


def _examples(trial: nn.Module, base: type[nn.Module]) -> Iterator[torch.Tensor]:
    import torch
    from torch import nn

    if base is nn.Linear:
        yield torch.randn(3, COLUMNS, dtype=torch.float64)
        yield torch.randn(2, 5, COLUMNS, dtype=torch.float64)
        return
    assert isinstance(trial, nn.Conv2d)
    reach = [d * (k - 1) + 1 for d, k in zip(trial.dilation, trial.kernel_size, strict=True)]
    for more in (4, 7):  # an even and an odd size: padding to "same" depends on it
        height, width = (size + more for size in reach)
        yield torch.randn(2, trial.in_channels, height, width, dtype=torch.float64)


def _agree(trial: nn.Module, base: type[nn.Module], example: torch.Tensor) -> bool:
    import torch

    expected = base.forward(trial, example)
    try:
        found = type(trial).forward(trial, example)
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError):
        return False
    if not isinstance(found, torch.Tensor) or found.shape != expected.shape:
        return False
    return torch.allclose(found.double(), expected, rtol=1e-9, atol=1e-9)
