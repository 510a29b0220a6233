"""`nn.Embedding`: a table, of which a forward looks up some rows."""

from __future__ import annotations

from torch import nn

from quantcli.kinds.own_weight import OwnWeight
from quantcli.kinds.registry import register


@register
class Embedding(OwnWeight):
    """Embeddings, row by row, also those that scale or shift what they look up."""

    module_class = nn.Embedding
    is_embedding = True
    multiplies_rows = False
