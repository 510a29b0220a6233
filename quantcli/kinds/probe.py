"""Does a subclass compute what the plain class does? Run both on random weights and compare."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from quantcli.kinds.kind import ModuleKind

REFUSALS = (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError)
"""What a forward raises for an input that it does not take."""


def computes_as(module: nn.Module, kind: ModuleKind) -> bool:
    """Return whether a module's forward gives what the plain class of its kind gives.

    Both run in float64 on random weights of a mean that is not zero, on the examples of the kind.
    Where the module's own forward fails, or gives no tensor, the answer is no.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad(), torch.device("cpu"):
        torch.manual_seed(0)
        trial = _trial(module, kind)
        return all(_agree(trial, kind, example) for example in kind.examples(trial))


def _trial(module: nn.Module, kind: ModuleKind) -> nn.Module:
    """Return a copy of the module with small random weights in place of its own."""
    trial: Any = copy.deepcopy(module)
    shape = kind.trial_shape(module)
    kind.resize(trial, shape)
    weight = torch.randn(shape, dtype=torch.float64) + 0.5
    trial.weight = nn.Parameter(weight)
    if getattr(module, "bias", None) is not None:
        trial.bias = nn.Parameter(torch.randn(shape[0], dtype=torch.float64))
    return trial  # type: ignore[no-any-return]


def _agree(trial: nn.Module, kind: ModuleKind, example: torch.Tensor) -> bool:
    expected = kind.module_class.forward(trial, example)
    try:
        found = type(trial).forward(trial, example)
    except REFUSALS:
        return False
    if not isinstance(found, torch.Tensor) or found.shape != expected.shape:
        return False
    return torch.allclose(found.double(), expected, rtol=1e-9, atol=1e-9)
