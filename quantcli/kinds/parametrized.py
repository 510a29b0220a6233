"""Parametrized weights: weight norm keeps a weight as a direction and its length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quantcli.kinds.adapted import AdaptedKind
from quantcli.kinds.layout import Rows
from quantcli.kinds.registry import register
from quantcli.upstream.torch import parametrization_class

if TYPE_CHECKING:
    from torch import nn


@register
class Parametrized(AdaptedKind):
    """The tensors from which torch computes a parametrized weight."""

    module_class = parametrization_class()

    def weights(self, module: nn.Module) -> dict[str, Rows]:
        """Return the tensors of two dimensions or more, by their names `original0`, ..."""
        own = module.named_parameters(recurse=False)
        return {name: Rows(shape=tuple(w.shape)) for name, w in own if w.dim() > 1}

    def skip_reason(self, module: nn.Module) -> str | None:
        """Return why the tensors are kept: only weight norm is known to be right."""
        inner: Any = module
        names = [type(found).__name__ for found in inner]
        if names == ["_WeightNorm"]:
            return None
        return f"{type(module).__name__} of {', '.join(names)}"
