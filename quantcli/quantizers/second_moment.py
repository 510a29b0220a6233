"""The second moment of a weight's inputs, made ready for rounding by it: order, damping, factor."""

from __future__ import annotations

import torch

DAMPING = 0.01
"""What is added to the diagonal, as a share of its mean: that of GPTQ's own code."""


def column_order(moment: torch.Tensor, group_size: int) -> torch.Tensor:
    """Return the order in which columns are rounded, (k,): what matters most comes first.

    Groups come in the order of the sum of their diagonal, and stay whole; so do columns inside a
    group. Errors of the first can still be made up for by all others.
    """
    diagonal = moment.diagonal().view(-1, group_size)
    groups = diagonal.sum(dim=1).argsort(descending=True, stable=True)
    columns = diagonal[groups].argsort(dim=1, descending=True, stable=True)
    return (columns + groups[:, None] * group_size).flatten()


def inverse_factor(moment: torch.Tensor) -> torch.Tensor:
    """Return the upper triangular U with U'U = inverse of the damped moment, (k, k) float32.

    It is the factor of GPTQ (Frantar et al. 2022, arXiv 2210.17323, section 3.3, step 3), found
    without the inverse: with J the reversal of the columns and L the Cholesky factor of JHJ,
    R = JLJ is upper triangular with H = RR', so U is the inverse of R.

    A moment that has no factor is damped ten times more until it has one: as its diagonal outgrows
    the rest, it will. Where it is zero, the identity takes its place. Raises `ValueError` if it is
    not finite.
    """
    unit, damping = _scaled(moment), DAMPING
    factor, failed = torch.linalg.cholesky_ex(_damped(unit, damping).flip(0, 1))
    while failed:
        damping *= 10
        factor, failed = torch.linalg.cholesky_ex(_damped(unit, damping).flip(0, 1))
    upper: torch.Tensor = factor.flip(0, 1)
    inverse: torch.Tensor = torch.linalg.solve_triangular(upper, torch.eye(len(unit)), upper=True)
    return inverse


def column_weights(moment: torch.Tensor) -> torch.Tensor:
    """Return what an error in each column counts, (k,): the damped diagonal, up to a factor."""
    return _damped(_scaled(moment), DAMPING).diagonal()


def _scaled(moment: torch.Tensor) -> torch.Tensor:
    """Return the moment with a mean diagonal of 1, the identity for zero.

    The mean is over inputs that are not always zero: without them it would depend on how many of
    those there are. Raises `ValueError` if it is not finite.
    """
    if not moment.isfinite().all():
        raise ValueError("the second moment is not finite")
    diagonal = moment.diagonal().double()
    live = diagonal[diagonal > 0]
    if not len(live):
        return torch.eye(len(moment))
    return (moment / live.mean()).float()


def _damped(unit: torch.Tensor, damping: float) -> torch.Tensor:
    damped = unit.clone()
    damped.diagonal().add_(damping)
    return damped
