"""What inspections are held to: whole tensors in memory, in float64."""

from __future__ import annotations

import math
from types import SimpleNamespace

import freezing
import pytest
import torch
from transformers.pytorch_utils import Conv1D

import quantcli
from quantcli.kinds.adapted import FrozenParameters
from quantcli.kinds.frozen import FrozenModule


def plain_error(original, result):
    """Return the figures of one tensor, computed from both as they are in memory."""
    x, y = original.double().flatten(), result.double().flatten()
    noise = (x - y).square().sum().item()
    return SimpleNamespace(
        values=x.numel(),
        sqnr_db=10 * math.log10(x.square().sum().item() / noise) if noise else math.inf,
        cosine=_cosine(x, y),
        mse=torch.nn.functional.mse_loss(x, y).item(),
        max_error=(x - y).abs().max().item(),
        zeroed=int(((x != 0) & (y == 0)).sum()),
    )


def _cosine(x, y):
    if not x.any() and not y.any():
        return 1.0
    return torch.nn.functional.cosine_similarity(x, y, dim=0, eps=1e-300).item()


def assert_close(found, expected, name):
    """Assert that an error has the figures of `plain_error`."""
    assert found.values == expected.values, name
    assert found.zeroed == expected.zeroed, name
    for figure in ("sqnr_db", "cosine", "mse", "max_error"):
        value = pytest.approx(getattr(expected, figure), rel=1e-6, abs=1e-15)
        assert getattr(found, figure) == value, (name, figure)


def states(original, frozen):
    """Return the tensors of a model and of its frozen directory, dequantized, by name."""
    before = freezing.load_original(original)
    after = quantcli.load(frozen)
    found = {**after.state_dict()}
    for name, module in after.named_modules():
        for weight in module.frozen_weights() if isinstance(module, FrozenModule) else ():
            found[f"{name}.{weight}"] = _dense(module, weight, before.get_submodule(name))
    return before.state_dict(), found


def _dense(module, weight, original):
    if isinstance(module, FrozenParameters):
        return module.view(weight).dense()
    values = getattr(module, weight).dequantize()
    # the frozen Conv1D is an ordinary linear layer: (outputs, inputs)
    return values.t() if isinstance(original, Conv1D) else values
