"""Make modules compute by torch's plain products while they are observed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch

from quantcli.kinds.registry import kind_for


@contextmanager
def eager_experts(model: torch.nn.Module) -> Iterator[None]:
    """Let layers of experts run their own loop, one expert at a time.

    transformers' other implementations multiply all experts at once, in kernels of their own.
    """
    changed: list[Any] = []
    for module in model.modules():
        own = type(module).forward
        if inspect.unwrap(own) is not own and _is_of_experts(module):
            vars(module)["forward"] = MethodType(inspect.unwrap(own), module)
            changed.append(module)
    try:
        yield
    finally:
        for module in changed:
            del vars(module)["forward"]


def _is_of_experts(module: torch.nn.Module) -> bool:
    kind, _ = kind_for(module)
    return kind is not None and kind.name == "experts"


@contextmanager
def plain_attention() -> Iterator[None]:
    """Switch off the kernels in which torch's own attention does everything at once."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
