"""Mixtures of experts: the weights of all experts of a layer are one parameter."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from quantcli.kinds.adapted import AdaptedKind, FrozenParameters
from quantcli.kinds.layout import Rows
from quantcli.kinds.registry import register

TRANSPOSED = ("AriaGroupedExpertsGemm", "Llama4TextExperts")
"""Classes that do not say that their weights are (experts, inputs, outputs)."""


class FrozenExperts(FrozenParameters):
    """Experts with quantized weights, of which one is taken at a time."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the loop over experts, whatever implementation the config names.

        The others take the weights of all experts at once.
        """
        return inspect.unwrap(self.original_class.forward)(self, *args, **kwargs)


@register
class Experts(AdaptedKind):
    """Experts: a row is an output of one expert."""

    module_class = nn.Module
    frozen_class = FrozenExperts

    @property
    def name(self) -> str:
        """What messages call it."""
        return "experts"

    def takes(self, module: nn.Module) -> bool:
        """Return whether a module holds the weights of experts, by its class."""
        return "Expert" in type(module).__name__ and bool(self.weights(module))

    def weights(self, module: nn.Module) -> dict[str, Rows]:
        """Return the weights, which have an expert each in their first dimension; no bias."""
        own = module.named_parameters(recurse=False)
        matrices = ((name, weight) for name, weight in own if weight.dim() in (2, 3))
        return {name: _rows(module, weight) for name, weight in matrices if "bias" not in name}


def _rows(module: nn.Module, weight: torch.Tensor) -> Rows:
    if weight.dim() == 2:  # the experts one above the other
        return Rows(shape=tuple(weight.shape))
    count, rows, columns = weight.shape
    transposed = bool(getattr(module, "is_transposed", type(module).__name__ in TRANSPOSED))
    if transposed:
        rows, columns = columns, rows
    return Rows(shape=(count * rows, columns), transposed=transposed)
