"""Modules that keep their class, and compute with a parameter `weight`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantcli.kinds.adapted import AdaptedKind
from quantcli.kinds.kind import weight_alone
from quantcli.kinds.trial import sees_its_weight

if TYPE_CHECKING:
    from torch import nn

    from quantcli.kinds.layout import Rows


class OwnWeight(AdaptedKind):
    """Modules of a class of torch, and of subclasses that compute with what `weight` gives."""

    def weights(self, module: nn.Module) -> dict[str, Rows]:
        """Return the weight in its own shape."""
        return weight_alone(module)

    def skip_reason(self, module: nn.Module) -> str | None:
        """Return why a subclass cannot be adapted."""
        own = type(module)
        if own is self.module_class or sees_its_weight(module, self.module_class):
            return None
        article = "an" if self.name[0] in "AEIOU" else "a"
        return f"{own.__name__} is {article} {self.name} with its own use of the weight"
