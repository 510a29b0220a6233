"""Quanto's quantizers on blocks of rows, bit for bit.

Scales are per row (8 bit) or per group within a row (4 and 2 bit), so a weight can be quantized a
few rows at a time. The arithmetic is that of optimum-quanto 0.2.7, operation for operation
(`AbsmaxOptimizer`, `MaxOptimizer`, `quantize_symmetric`, `quantize_affine`, `pack_weights`), done
in place: on a block that stays in cache no other pass over memory is made. What depends on the
whole tensor goes through Quanto's own functions (`quantizers.whole`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quantcli.formats import WeightFormat


def symmetric(
    rows: torch.Tensor,
    weight_format: WeightFormat,
    data: torch.Tensor,
    scale: torch.Tensor,
    scratch: torch.Tensor,
    wide: torch.Tensor,
) -> int:
    """Quantize rows to 8 bits: scale = max|x| / qmax, data = round(x / scale) clamped.

    `rows` (rows, columns) is overwritten, `data` (rows, columns) and `scale` (rows, 1) are filled;
    `scratch` is like `rows`, and so is `wide`, in float32 if `rows` have 16 bits. Float8 is not
    rounded before the cast. A row of zeros has scale 0: Quanto's float8 data of it is NaN, which
    makes every output of the module NaN, so 0 is stored.
    Returns how many such rows there were.
    """
    _absolute_maximum(rows, scratch, scale)
    scale.div_(weight_format.maximum)
    rows.div_(scale)
    # a quotient that is rounded to 16 bits is the same in 32, in which torch is faster from here on
    values = rows if rows.dtype == wide.dtype else wide.copy_(rows)
    if not data.is_floating_point():
        values.round_()
    values.clamp_(weight_format.minimum, weight_format.maximum)
    zero_rows = _clear_zero_rows(values, scale) if data.is_floating_point() else 0
    data.copy_(values)
    return zero_rows


def _absolute_maximum(rows: torch.Tensor, scratch: torch.Tensor, scale: torch.Tensor) -> None:
    """Fill `scale` (rows, 1) with the maximum of |x| in each row; NaN where there is one."""
    torch.abs(rows, out=scratch)
    if rows.dtype.itemsize == 2:
        # without a sign, floats of 16 bits are in the order of their bits
        scratch, scale = scratch.view(torch.int16), scale.view(torch.int16)
    torch.amax(scratch, dim=1, keepdim=True, out=scale)


def _clear_zero_rows(rows: torch.Tensor, scale: torch.Tensor) -> int:
    zero = scale == 0
    if not zero.any():
        return 0
    undefined = zero & rows.isnan()
    rows.masked_fill_(undefined, 0)
    return int(undefined.any(dim=1).sum())


def affine(
    groups: torch.Tensor,
    weight_format: WeightFormat,
    data: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor,
) -> None:
    """Quantize groups to less than 8 bits: scale = (max - min) / (2^bits - 1), shift = -min.

    `groups` (groups, columns) is overwritten; `data`, in uint8 and not yet packed, and `scale` and
    `shift` (groups, 1) are filled. data = round((x + shift) / scale), clamped.
    """
    maximum = int(weight_format.maximum)
    torch.amin(groups, dim=1, keepdim=True, out=shift)
    torch.amax(groups, dim=1, keepdim=True, out=scale).sub_(shift).div_(maximum)
    shift.neg_()
    groups.add_(shift).div_(scale).round_().clamp_(0, maximum)
    data.view(torch.int8).copy_(groups)  # the same bits, and torch casts to int8 five times faster


def tinygemm_shift(scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Return the shift as it comes back from the TinyGemm layout, which keeps the mid-point.

    `TinyGemmWeightQBitsTensor.__init__` and `.weight_qbits_tensor`: lossy where a group is skewed.
    """
    half = 8 * scale
    return half - (half - shift)


def pack(parts: Sequence[torch.Tensor], weight_format: WeightFormat, packed: torch.Tensor) -> None:
    """Pack matching rows of the parts of a tensor into bytes, the first part in the lowest bits.

    `parts` are uint8 (rows, columns) and are overwritten; the last ones may be shorter than
    `packed`, which is filled, as the tensor ends there.
    """
    packed.copy_(parts[0])
    for index, part in enumerate(parts[1:], start=1):
        packed[: len(part)] |= part.bitwise_left_shift_(weight_format.bits * index)
