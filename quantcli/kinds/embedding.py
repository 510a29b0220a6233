"""`nn.Embedding`: a table, of which a forward looks up some rows."""

from __future__ import annotations

from torch import nn

from quantcli.kinds.adapted import AdaptedKind
from quantcli.kinds.kind import weight_alone
from quantcli.kinds.layout import Rows
from quantcli.kinds.registry import register
from quantcli.kinds.trial import sees_its_weight


@register
class Embedding(AdaptedKind):
    """Embeddings, row by row, also those that scale or shift what they look up."""

    module_class = nn.Embedding
    is_embedding = True

    def weights(self, module: nn.Module) -> dict[str, Rows]:
        """Return the table."""
        return weight_alone(module)

    def skip_reason(self, module: nn.Module) -> str | None:
        """Return why a subclass cannot be adapted."""
        if type(module) is nn.Embedding or sees_its_weight(module, nn.Embedding):
            return None
        return f"{type(module).__name__} is an Embedding with its own use of the weight"
