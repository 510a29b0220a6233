"""`nn.MultiheadAttention`: the weight that projects queries, keys and values at once."""

from __future__ import annotations

from torch import nn

from quantcli.kinds.adapted import AdaptedKind
from quantcli.kinds.layout import Rows
from quantcli.kinds.registry import register

WEIGHTS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


@register
class MultiheadAttention(AdaptedKind):
    """The input projections of torch's attention; the output projection is a Linear of its own."""

    module_class = nn.MultiheadAttention

    def weights(self, module: nn.Module) -> dict[str, Rows]:
        """Return the projections: one of all three, or one each."""
        own = module.named_parameters(recurse=False)
        return {name: Rows(shape=tuple(weight.shape)) for name, weight in own if name in WEIGHTS}

    def skip_reason(self, module: nn.Module) -> str | None:
        """Return why a subclass is kept."""
        plain = type(module).forward is nn.MultiheadAttention.forward
        return None if plain else f"{type(module).__name__} is an attention with its own forward"
