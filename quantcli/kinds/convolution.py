"""Convolutions of one and three dimensions, and transposed ones.

A row is the filter of an output channel, of an input channel in a transposed convolution.
"""

from __future__ import annotations

from torch import nn

from quantcli.kinds.own_weight import OwnWeight
from quantcli.kinds.registry import register


@register
class Conv1d(OwnWeight):
    """1-D convolutions."""

    module_class = nn.Conv1d


@register
class Conv3d(OwnWeight):
    """3-D convolutions."""

    module_class = nn.Conv3d


@register
class ConvTranspose1d(OwnWeight):
    """Transposed 1-D convolutions."""

    module_class = nn.ConvTranspose1d
    multiplies_rows = False


@register
class ConvTranspose2d(OwnWeight):
    """Transposed 2-D convolutions."""

    module_class = nn.ConvTranspose2d
    multiplies_rows = False


@register
class ConvTranspose3d(OwnWeight):
    """Transposed 3-D convolutions."""

    module_class = nn.ConvTranspose3d
    multiplies_rows = False
