"""Subclasses of Linear and Conv2d that transform their weight before they use it."""

from __future__ import annotations

from torch import nn

from quantcli.kinds.convolution import Convolution
from quantcli.kinds.registry import register


class Subclass(Convolution):
    """Modules whose class is derived from that of a kind of Quanto's."""

    def takes(self, module: nn.Module) -> bool:
        """Return whether a module is of a subclass."""
        return super().takes(module) and type(module) is not self.module_class


@register
class LinearSubclass(Subclass):
    """Subclasses of Linear."""

    module_class = nn.Linear
    takes_a_table = True


@register
class Conv2dSubclass(Subclass):
    """Subclasses of Conv2d, such as those with weight standardization."""

    module_class = nn.Conv2d
