"""Convolutions of one and three dimensions, and transposed ones."""

from __future__ import annotations

from torch import nn

from quantcli.kinds.adapted import AdaptedKind
from quantcli.kinds.kind import weight_alone
from quantcli.kinds.layout import Rows
from quantcli.kinds.registry import register
from quantcli.kinds.trial import sees_its_weight


class Convolution(AdaptedKind):
    """Convolutions: a row is the filter of an output channel, of an input channel if transposed."""

    def weights(self, module: nn.Module) -> dict[str, Rows]:
        """Return the weight in its own shape."""
        return weight_alone(module)

    def skip_reason(self, module: nn.Module) -> str | None:
        """Return why a subclass cannot be adapted."""
        if type(module) is self.module_class or sees_its_weight(module, self.module_class):
            return None
        return f"{type(module).__name__} is a {self.name} with its own use of the weight"


@register
class Conv1d(Convolution):
    """1-D convolutions."""

    module_class = nn.Conv1d


@register
class Conv3d(Convolution):
    """3-D convolutions."""

    module_class = nn.Conv3d


@register
class ConvTranspose1d(Convolution):
    """Transposed 1-D convolutions."""

    module_class = nn.ConvTranspose1d


@register
class ConvTranspose2d(Convolution):
    """Transposed 2-D convolutions."""

    module_class = nn.ConvTranspose2d


@register
class ConvTranspose3d(Convolution):
    """Transposed 3-D convolutions."""

    module_class = nn.ConvTranspose3d
