"""Does a subclass compute the same when its weight is a property? Try it on random weights."""

from __future__ import annotations

import copy
import dis
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from quantcli.formats import format_named
from quantcli.kinds.adapted import FrozenParameters, adapt
from quantcli.kinds.layout import Rows
from quantcli.kinds.probe import REFUSALS
from quantcli.upstream.quanto import row_weight
from quantcli.upstream.torch import own_parameters

HARMLESS = ("device", "dtype", "shape")
"""Attributes of a weight that do not depend on its values."""

LARGEST = 1 << 22
"""Elements of a weight that is tried. A larger one is not worth the time."""


def sees_its_weight(module: nn.Module, plain: type[nn.Module]) -> bool:
    """Return whether a subclass of `plain` computes with what its attribute `weight` gives.

    It does if its own code leaves the weight to `plain`. Else it is tried: in float64, with a
    quantized weight, and with the same values as an ordinary one. Where its forward fails on an
    ordinary input, or the weight is too large to try, the answer is no.
    """
    if _leaves_the_weight_alone(type(module), plain):
        return True
    weight: Any = module.weight
    if weight is None or weight.numel() > LARGEST:
        return False
    with torch.random.fork_rng(devices=[]), torch.no_grad(), torch.device("cpu"):
        torch.manual_seed(0)
        trial = _trial(module)
        frozen: Any = _frozen(copy.deepcopy(trial))
        dense: Any = own_parameters(frozen)["weight"]
        trial.weight = nn.Parameter(dense.dequantize())
        return all(_agree(trial, frozen, example) for example in _examples(trial))


def _leaves_the_weight_alone(own: type[nn.Module], plain: type[nn.Module]) -> bool:
    """Return whether no code of a class, down to `plain`, uses a weight outside `__init__`.

    What is asked of it may be its dtype, device or shape.
    """
    for kind in own.__mro__[: own.__mro__.index(plain)]:
        for name, value in vars(kind).items():
            function = inspect.unwrap(value) if callable(value) else None
            if name != "__init__" and inspect.isfunction(function) and _uses_a_weight(function):
                return False
    return True


def _uses_a_weight(function: Callable[..., Any]) -> bool:
    names = [instruction.argval for instruction in dis.get_instructions(function)]
    return any(
        isinstance(name, str) and "weight" in name and following not in HARMLESS
        for name, following in zip(names, [*names[1:], None], strict=True)
    )


def _trial(module: nn.Module) -> nn.Module:
    """Return a copy of a module on the CPU with random tensors, its weight of a mean above 0."""
    trial = copy.deepcopy(module).to_empty(device="cpu").double()
    for tensor in (*trial.parameters(), *trial.buffers()):
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, dtype=torch.float64) + 0.5)
        else:
            tensor.zero_()
    return trial.eval()


def _frozen(module: Any) -> nn.Module:
    """Turn a module into its frozen counterpart, with an int8 weight."""
    weight = module.weight
    int8 = format_named("int8")
    scale = weight.abs().amax(dim=tuple(range(1, weight.dim())), keepdim=True) / int8.maximum
    data = (weight / scale).round().to(torch.int8)
    adapted: Any = adapt(
        module,
        FrozenParameters,
        {"weight": Rows(shape=tuple(weight.shape))},
        {"weight": (int8, None)},
    )
    parts = {"_data": data, "_scale": scale.reshape(()) if len(data) == 1 else scale}
    found = row_weight(str(int8.qtype), parts, shape=tuple(weight.shape))
    adapted.weight = nn.Parameter(found, requires_grad=False)
    return adapted  # type: ignore[no-any-return]


def _examples(trial: Any) -> Iterator[torch.Tensor]:
    if isinstance(trial, nn.Embedding):
        yield torch.arange(min(4, trial.num_embeddings)).reshape(2, -1)
    elif isinstance(trial, nn.Linear):
        yield torch.randn(2, 5, trial.in_features, dtype=torch.float64)
    else:
        reach = [d * (k - 1) + 1 for d, k in zip(trial.dilation, trial.kernel_size, strict=True)]
        for more in (4, 7):
            size = [side + more for side in reach]
            yield torch.randn(2, trial.in_channels, *size, dtype=torch.float64)


def _agree(trial: Any, frozen: Any, example: torch.Tensor) -> bool:
    try:
        expected, found = trial(example), frozen(example)
    except REFUSALS:
        return False
    same = isinstance(found, torch.Tensor) and isinstance(expected, torch.Tensor)
    return same and torch.allclose(found, expected, rtol=1e-9, atol=1e-9)
