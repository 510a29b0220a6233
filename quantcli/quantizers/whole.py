"""Quanto's quantizers on a whole weight, for what depends on all of it.

HQQ stops on an error averaged over the tensor, and Quanto gives up the axis of a tensor of one
group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantcli.formats import WeightFormat

if TYPE_CHECKING:
    import torch


def quantize_whole(
    weight: torch.Tensor, weight_format: WeightFormat, group_size: int | None, optimizer: str
) -> dict[str, torch.Tensor]:
    """Return the stored parts of a weight in a grouped format, by what follows its name."""
    from optimum.quanto import HqqOptimizer, MaxOptimizer, qtypes

    from quantcli.upstream.quanto import quantize_grouped

    quantizer = HqqOptimizer() if optimizer == "hqq" else MaxOptimizer()
    return quantize_grouped(weight, qtypes[weight_format.qtype], quantizer, group_size)


def needs_whole(optimizer: str | None, grouped: tuple[int, ...]) -> bool:
    """Return whether a weight in a grouped format, of the shape `grouped`, must be taken whole."""
    return optimizer == "hqq" or grouped[0] == 1
