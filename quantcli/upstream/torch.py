"""torch: what its modules keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def declares_parameters(module: nn.Module) -> bool:
    """Return whether a module itself has parameters, also where all of them are None."""
    return bool(module._parameters)
