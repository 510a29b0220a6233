"""Routers of mixtures of experts, which stay in full precision.

They are small, and an error in one sends tokens to other experts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

_CLASS = re.compile(r"(router|(moe|top_?k).*(gate|gating))$", re.IGNORECASE)
_NAMES = ("gate", "gating", "router")


def is_router(model: nn.Module, name: str) -> bool:
    """Return whether the module of this name chooses experts, or is part of one that does.

    It is known by the name of its class, or of the class that it is in; and by its own name where
    experts are beside it.
    """
    parent_name, _, own_name = name.rpartition(".")
    module, parent = model.get_submodule(name), model.get_submodule(parent_name)
    if any(_CLASS.search(type(each).__name__) for each in (module, parent)):
        return True
    return own_name in _NAMES and hasattr(parent, "experts")
