"""The second moment of a weight's inputs, made ready for rounding by it: order, damping, factor."""

from __future__ import annotations

import torch

SHRINKAGE = 0.05
"""What is added to the diagonal, as a share of itself: measured as good as GPTQ's own share of the
mean, which one huge channel would decide for all others."""

DAMPING = 1e-4
"""What else is added to the diagonal, as a share of its mean."""


def column_order(moment: torch.Tensor, group_size: int) -> torch.Tensor:
    """Return the order in which columns are rounded, (k,): what matters most comes first.

    Groups come in the order of the sum of their diagonal, and stay whole; so do columns inside a
    group. Errors of the first can still be made up for by all others.
    """
    diagonal = moment.diagonal().view(-1, group_size)
    groups = diagonal.sum(dim=1).argsort(descending=True, stable=True)
    columns = diagonal[groups].argsort(dim=1, descending=True, stable=True)
    return (columns + groups[:, None] * group_size).flatten()


def damped(moment: torch.Tensor) -> torch.Tensor:
    """Return the moment with a mean diagonal of 1, damped until it has a Cholesky factor.

    One without a factor is damped ten times more, and again: as the diagonal outgrows the rest, it
    will have one. The identity takes the place of zero. Raises `ValueError` if it is not finite.
    """
    unit, factor = _scaled(moment), 1.0
    shrunk = _shrunk(unit, factor)
    while torch.linalg.cholesky_ex(shrunk.flip(0, 1)).info:  # as `inverse_factor` takes it
        factor *= 10
        shrunk = _shrunk(unit, factor)
    return shrunk


def inverse_factor(moment: torch.Tensor) -> torch.Tensor:
    """Return the upper triangular U with U'DU = inverse of a damped moment, (k, k) float32.

    U has ones on its diagonal, and D is diagonal. With sqrt(D) U, it is the factor of GPTQ (Frantar
    et al. 2022, arXiv 2210.17323, section 3.3, step 3), found without the inverse: with J the
    reversal of the columns and L the Cholesky factor of JGJ, R = JLJ is upper triangular with
    G = RR', so the inverse of R is the factor.
    """
    upper: torch.Tensor = torch.linalg.cholesky(moment.flip(0, 1)).flip(0, 1)
    inverse: torch.Tensor = torch.linalg.solve_triangular(upper, torch.eye(len(upper)), upper=True)
    return inverse.div_(inverse.diagonal().clone()[:, None])


def _scaled(moment: torch.Tensor) -> torch.Tensor:
    if not moment.isfinite().all():
        raise ValueError("the second moment is not finite")
    diagonal = moment.diagonal().double()
    live = diagonal[diagonal > 0]
    if not len(live):
        return torch.eye(len(moment))
    # the mean of the inputs that are not always zero, however many of those there are
    return (moment / live.mean()).float()


def _shrunk(unit: torch.Tensor, factor: float) -> torch.Tensor:
    shrunk = unit.clone()
    diagonal = shrunk.diagonal()
    diagonal.add_(SHRINKAGE * factor * diagonal + DAMPING * factor)
    return shrunk
