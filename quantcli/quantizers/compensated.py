"""Error-compensated rounding: GPTQ on Quanto's layout.

The output error of a weight W rounded to Q is tr((W - Q) G (W - Q)'), with G the second moment of
its inputs. GPTQ (Frantar et al. 2022, arXiv 2210.17323) rounds one column after the other, and
moves the columns that are left so that they make up for the error as well as they can. With U
upper triangular, ones on its diagonal, and U'DU the inverse of G for a diagonal D, rounding column
i with the error e = w_i - q_i adds e^2 / D_ii to the output error, and takes e * U_ij from each
later column j.

Quanto's layout fixes the groups: consecutive columns, one scale and shift for each group of a row.
They are found when the group's turn comes, from columns that are already moved. Once all columns
are rounded, grids and codes are improved in turn (`quantizers.descent`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from quantcli.formats import WeightFormat
from quantcli.quantizers.descent import BLOCK, ONE_BY_ONE, Rounded, sweep
from quantcli.quantizers.grid import Grid, Storage, search
from quantcli.quantizers.second_moment import column_order, damped, inverse_factor

_SWEEPS = 2
"""How often grids and codes are improved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensated:
    """A rounded weight: `codes` (n, k) in uint8, not packed; `scale`, `shift` (groups, 1).

    Groups are in Quanto's order, row after row.
    """

    codes: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor


def compensated(
    rows: torch.Tensor,
    moment: torch.Tensor | None,
    weight_format: WeightFormat,
    group_size: int | None,
    *,
    dtype: torch.dtype,
    tinygemm: bool = False,
) -> Compensated:
    """Round rows (n, k) so that the error of their products with the inputs is small.

    `moment` (k, k) is the sum of x x' over the inputs x, in float32; without one, all inputs count
    the same and none makes up for another. `group_size` divides k; None is one group for each row.
    Scales and shifts are of `dtype`; with `tinygemm` shifts are as the TinyGemm layout keeps them.
    Takes about three times the memory of the weight in float32, and four times that of the moment.
    A row's result does not depend on the others, apart from how a matrix product adds up.

    Raises `ValueError` if the moment is not finite.
    """
    columns = rows.shape[1]
    group_size = group_size or columns
    if moment is None:
        moment = torch.eye(columns)
    storage = Storage(maximum=int(weight_format.maximum), dtype=dtype, tinygemm=tinygemm)
    order = column_order(moment, group_size)
    moment = damped(moment[order][:, order])
    groups = [slice(start, start + group_size) for start in range(0, columns, group_size)]
    codes, grids = _round(rows.T[order].float(), groups, moment, storage)
    residual = rows.T[order].float()
    for group, grid in zip(groups, grids, strict=True):
        residual[group] -= grid.values(codes[group].float())
    rounded = Rounded(groups=groups, grids=grids, codes=codes, residual=residual)
    for _ in range(_SWEEPS):
        sweep(rounded, moment)
    return _in_quantos_order(codes, grids, order)


def _round(
    weight: torch.Tensor,
    groups: list[slice],
    moment: torch.Tensor,
    storage: Storage,
) -> tuple[torch.Tensor, list[Grid]]:
    """Round columns (columns, rows), which are overwritten, a group at a time.

    Returns the codes in uint8 and the grid of each group.
    """
    factor, weights = inverse_factor(moment), moment.diagonal()
    codes, grids = torch.empty(weight.shape, dtype=torch.uint8), []
    for group in groups:
        grid = search(weight[group], weights[group], storage)
        errors = _round_group(weight[group], factor[group, group], grid, codes[group])
        weight[group.stop :].addmm_(factor[group, group.stop :].T, errors, alpha=-1)
        grids.append(grid)
    return codes, grids


def _round_group(
    group: torch.Tensor, factor: torch.Tensor, grid: Grid, codes: torch.Tensor
) -> torch.Tensor:
    """Round the columns of one group in order, and fill `codes`.

    `group` (columns, rows) is overwritten. Returns the errors, (columns, rows).
    """
    errors, chosen = torch.empty_like(group), torch.empty_like(group)
    for start in range(0, len(group), BLOCK):
        block = slice(start, start + BLOCK)
        left = group[block]
        columns = zip(left, factor[block, block], chosen[block], errors[block], strict=True)
        with ONE_BY_ONE:
            for column, coupling, code, error in columns:
                torch.sub(column, grid.values(grid.codes(column, out=code)), out=error)
                left.addr_(coupling, error, alpha=-1)
        group[block.stop :].addmm_(factor[block, block.stop :].T, errors[block], alpha=-1)
    codes.copy_(chosen)
    return errors


def _in_quantos_order(codes: torch.Tensor, grids: list[Grid], order: torch.Tensor) -> Compensated:
    """Return codes (columns, rows) and grids with columns as they are in the weight."""
    dtype, group_size = grids[0].storage.dtype, len(order) // len(grids)
    groups = (order[::group_size] // group_size).argsort()
    scale = torch.stack([grid.scale for grid in grids], dim=1)
    shift = torch.stack([grid.shift for grid in grids], dim=1)
    return Compensated(
        codes=codes[order.argsort()].T.contiguous(),
        scale=scale[:, groups].reshape(-1, 1).to(dtype),
        shift=shift[:, groups].reshape(-1, 1).to(dtype),
    )
