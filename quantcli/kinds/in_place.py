"""Linear and Conv2d modules that cannot be replaced by another module.

Their class is a subclass that transforms the weight before it uses it, or something else than their
parent holds them.
"""

from __future__ import annotations

from torch import nn

from quantcli.kinds.own_weight import OwnWeight
from quantcli.kinds.registry import register


@register
class LinearInPlace(OwnWeight):
    """Linear layers that keep their class."""

    module_class = nn.Linear
    takes_a_table = True


@register
class Conv2dInPlace(OwnWeight):
    """2-D convolutions that keep their class, such as those with weight standardization."""

    module_class = nn.Conv2d
