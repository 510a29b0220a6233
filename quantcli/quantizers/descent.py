"""Codes and grids of a rounded weight improved one at a time, each given all the others.

The error to lower is r'Gr for each row, with r = w - q its residual and G the damped second moment.
Where Gr is known, the best value of one column is q_i + (Gr)_i / G_ii (coordinate descent:
QuantEase, Behdin et al. 2023, arXiv 2309.01885), and the best scale and shift of a group solve two
linear equations. Tensors are (columns, rows) as in `quantizers.grid`.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import torch

from quantcli.quantizers.grid import Grid

BLOCK = 32
"""Columns that are rounded one by one before the others of a group are brought up to date."""

ONE_BY_ONE = Lock()
"""Held while columns are rounded one by one: such short operations take less time in turn than at
the same time, when threads wait for Python's own lock around each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounded:
    """A weight as it is rounded so far, which `sweep` changes in place.

    `groups` are its groups of columns, with a grid each; `codes` are uint8, and `residual` is what
    is left of the weight once the dequantized values are taken from it.
    """

    groups: list[slice]
    grids: list[Grid]
    codes: torch.Tensor
    residual: torch.Tensor


def sweep(rounded: Rounded, moment: torch.Tensor) -> None:
    """Go once through all groups: fit each grid to its codes, then choose its codes again."""
    for index, group in enumerate(rounded.groups):
        residual, codes = rounded.residual[group], rounded.codes[group]
        pull, inner = moment[group] @ rounded.residual, moment[group, group]
        grid = _refit(rounded.grids[index], codes, residual, pull, inner)
        _choose(grid, codes, residual, pull, inner)
        rounded.grids[index] = grid


def _refit(
    grid: Grid,
    codes: torch.Tensor,
    residual: torch.Tensor,
    pull: torch.Tensor,
    inner: torch.Tensor,
) -> Grid:
    """Return the grid with the least error for the codes of a group, as it can be stored.

    `pull` is Gr in the columns of the group, `inner` is G there. A row whose error would not
    become less keeps its grid. `residual` and `pull` are updated.
    """
    values = codes.float()
    fitted = _least_squares(grid, values, pull, inner)
    change = fitted.values(values) - grid.values(values)
    gain = (change * (2 * pull - inner @ change)).sum(dim=0)
    better = (gain > 0) & (fitted.scale > 0)  # false for what is not a number
    change = torch.where(better, change, 0)
    residual -= change
    pull.addmm_(inner, change, alpha=-1)
    return fitted.where(better, grid)


def _least_squares(
    grid: Grid, values: torch.Tensor, pull: torch.Tensor, inner: torch.Tensor
) -> Grid:
    """Return the grid whose scale and shift minimize (r - da c + db 1)'G(r - da c + db 1).

    c are the codes, da and db the changes of scale and shift. It is not a number for equal codes.
    """
    ones = inner.sum(dim=1)
    squares, mixed, total = (values * (inner @ values)).sum(dim=0), ones @ values, ones.sum()
    along, across = (values * pull).sum(dim=0), pull.sum(dim=0)
    scale = (along * total - mixed * across) / (squares * total - mixed.square())
    shift = (scale * mixed - across) / total
    return Grid.of(grid.scale + scale, grid.shift + shift, grid.storage)


def _choose(
    grid: Grid,
    codes: torch.Tensor,
    residual: torch.Tensor,
    pull: torch.Tensor,
    inner: torch.Tensor,
) -> None:
    """Choose the codes of a group again, column by column, and update what depends on them.

    `pull` is overwritten.
    """
    before, chosen = grid.values(codes.float()), torch.empty_like(residual)
    changes, steps = torch.empty_like(residual), (1 / inner.diagonal()).tolist()
    for start in range(0, len(codes), BLOCK):
        block = slice(start, start + BLOCK)
        pulls = pull[block]
        columns = zip(
            before[block],
            pulls,
            steps[block],
            inner[block, block],
            chosen[block],
            changes[block],
            strict=True,
        )
        with ONE_BY_ONE:
            for value, own, step, coupling, code, change in columns:
                grid.codes(torch.add(value, own, alpha=step), out=code)
                torch.sub(grid.values(code), value, out=change)
                pulls.addr_(coupling, change, alpha=-1)
        pull[block.stop :].addmm_(inner[block, block.stop :].T, changes[block], alpha=-1)
    codes.copy_(chosen)
    residual -= changes
