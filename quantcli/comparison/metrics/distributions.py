"""Distances between distributions over tokens or labels, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[np.float64]

CHUNK = 1 << 21
"""Number of logits that are converted to float64 at a time: 16 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """The distances between two sets of logits, for each of n rows (positions, labels).

    `kl` in nats; `same_top` is 1 if both have the same top class, else 0; `logit` is the maximum
    absolute difference of a logit.
    """

    kl: Array
    same_top: Array
    logit: Array

    @classmethod
    def join(cls, parts: list[Distances]) -> Distances:
        """Concatenate the rows of several sets."""
        columns = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in columns})


def distances(original: torch.Tensor, quantized: torch.Tensor) -> Distances:
    """Compare two sets of logits, (n, classes) each.

    KL(original || quantized) = sum of p (ln p - ln q), where p and q are the softmax of all logits:
    no probability is left out.
    """
    parts = [_distances(x, y) for x, y in _chunks(original, quantized)]
    return Distances.join(parts)


def binary_distances(original: torch.Tensor, quantized: torch.Tensor) -> Distances:
    """Compare logits of labels that do not exclude each other, (n, labels) each.

    Each label is a distribution of its own, so the result has n * labels rows.
    """
    x, y = (
        torch.stack([logits.flatten().double(), torch.zeros(logits.numel(), dtype=torch.double)], 1)
        for logits in (original, quantized)
    )
    return distances(x, y)


def negative_log_likelihood(logits: torch.Tensor, tokens: torch.Tensor) -> Array:
    """Return -ln p of each right token, in nats: logits (n, classes), tokens (n,)."""
    step = max(1, CHUNK // logits.shape[-1])
    found = [
        -_log_softmax(part).gather(1, right[:, None]).squeeze(1)
        for part, right in zip(logits.split(step), tokens.split(step), strict=True)
    ]
    return np.asarray(torch.cat(found).numpy())


def _distances(original: torch.Tensor, quantized: torch.Tensor) -> Distances:
    x, y = original.double(), quantized.double()
    log_p, log_q = _log_softmax(x), _log_softmax(y)
    p = log_p.exp()
    terms = torch.where(p > 0, p * (log_p - log_q), 0.0)
    difference = torch.where(x == y, 0.0, (x - y).abs())  # inf - inf is NaN
    return Distances(
        kl=terms.sum(dim=1).clamp_min(0).numpy(),
        same_top=(x.argmax(dim=1) == y.argmax(dim=1)).double().numpy(),
        logit=difference.amax(dim=1).numpy(),
    )


def _log_softmax(logits: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(logits.double(), dim=1)


def _chunks(x: torch.Tensor, y: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    step = max(1, CHUNK // x.shape[-1])
    yield from zip(x.split(step), y.split(step), strict=True)
