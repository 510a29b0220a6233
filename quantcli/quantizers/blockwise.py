"""Quanto's quantizers on blocks of rows, bit for bit.

Scales are per row (8 bit) or per group within a row (4 and 2 bit), so a weight can be quantized a
few rows at a time. The arithmetic is that of optimum-quanto 0.2.7, operation for operation
(`AbsmaxOptimizer`, `MaxOptimizer`, `quantize_symmetric`, `quantize_affine`, `pack_weights`), done
in place: on a block that stays in cache no other pass over memory is made. What depends on the
whole tensor goes through Quanto's own functions (`quantize_whole`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quantcli.dtypes import BITS

STORAGE = {
    "qint8": (torch.int8, 127, -128, 127),
    "qfloat8_e4m3fn": (torch.float8_e4m3fn, 448.0, -448.0, 448.0),
    "qfloat8_e5m2": (torch.float8_e5m2, 57344.0, -57344.0, 57344.0),
}
"""8-bit qtypes: storage dtype, the divisor of the absolute maximum, least and greatest value."""


def symmetric(
    rows: torch.Tensor, qtype: str, data: torch.Tensor, scale: torch.Tensor, scratch: torch.Tensor
) -> int:
    """Quantize rows to 8 bits: scale = max|x| / qmax, data = round(x / scale) clamped.

    `rows` (rows, columns) is overwritten, `data` (rows, columns) and `scale` (rows, 1) are filled;
    `scratch` is like `rows`. Float8 is not rounded before the cast. A row of zeros has scale 0;
    Quanto's float8 data of it is NaN, which would make the module's every output NaN, and is
    stored as 0 here. Returns how many rows were so mended.
    """
    _, divisor, least, greatest = STORAGE[qtype]
    torch.amax(torch.abs(rows, out=scratch), dim=1, keepdim=True, out=scale).div_(divisor)
    rows.div_(scale)
    if not data.is_floating_point():
        rows.round_()
    rows.clamp_(least, greatest)
    mended = _mend_zero_rows(rows, scale) if data.is_floating_point() else 0
    data.copy_(rows)
    return mended


def _mend_zero_rows(rows: torch.Tensor, scale: torch.Tensor) -> int:
    zero = scale == 0
    if not zero.any():
        return 0
    broken = zero & rows.isnan()
    rows.masked_fill_(broken, 0)
    return int(broken.any(dim=1).sum())


def affine(
    groups: torch.Tensor, bits: int, data: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor
) -> None:
    """Quantize groups to 4 or 2 bits: scale = (max - min) / (2^bits - 1), shift = -min.

    `groups` (groups, columns) is overwritten; `data`, in uint8 and not yet packed, and `scale` and
    `shift` (groups, 1) are filled. data = round((x + shift) / scale), clamped.
    """
    greatest = 2**bits - 1
    torch.amin(groups, dim=1, keepdim=True, out=shift)
    torch.amax(groups, dim=1, keepdim=True, out=scale).sub_(shift).div_(greatest)
    shift.neg_()
    groups.add_(shift).div_(scale).round_().clamp_(0, greatest)
    data.view(torch.int8).copy_(groups)  # the same bits, and torch casts to int8 five times faster


def uses_tinygemm(
    shape: tuple[int, ...], dtype: torch.dtype, qtype: str, group_size: int | None
) -> bool:
    """Tell whether Quanto freezes a weight into its TinyGemm layout on a CPU.

    Where the rows are no multiple of 16 it fails to (torch's kernel refuses), and the plain layout
    is what remains.
    """
    layout = qtype == "qint4" and dtype == torch.bfloat16 and group_size == 128
    return layout and len(shape) == 2 and shape[0] % 16 == 0


def tinygemm_shift(scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Return the shift as it comes back from the TinyGemm layout, which keeps the mid-point.

    `TinyGemmWeightQBitsTensor.__init__` and `.weight_qbits_tensor`: lossy where a group is skewed.
    """
    half = 8 * scale
    return half - (half - shift)


def pack(parts: Sequence[torch.Tensor], bits: int, packed: torch.Tensor) -> None:
    """Pack matching rows of the parts of a tensor into bytes, the first part in the lowest bits.

    `parts` are uint8 (rows, columns) and are overwritten; the last ones may be shorter than
    `packed`, which is filled, as the tensor ends there.
    """
    packed.copy_(parts[0])
    for index, part in enumerate(parts[1:], start=1):
        packed[: len(part)] |= part.bitwise_left_shift_(bits * index)


def quantize_whole(
    weight: torch.Tensor, qtype: str, group_size: int | None, optimizer: str
) -> dict[str, torch.Tensor]:
    """Quantize a whole weight by Quanto's own functions: data, scale and shift by their suffix.

    For HQQ, which stops on an error averaged over the tensor, and for a tensor of one group, whose
    axis Quanto gives up.
    """
    from optimum.quanto import HqqOptimizer, MaxOptimizer, qtypes, quantize_weight

    quantizer = HqqOptimizer() if optimizer == "hqq" else MaxOptimizer()
    kind = qtypes[qtype]
    scale, shift = quantizer(weight, qtype=kind, axis=0, group_size=group_size)
    quantized = quantize_weight(
        weight,
        qtype=kind,
        axis=0,
        scale=scale,
        shift=shift,
        group_size=group_size,
        optimized=False,
    )
    return {
        "._data._data": quantized._data._data,
        "._scale": quantized._scale,
        "._shift": quantized._shift,
    }


def is_affine(qtype: str) -> bool:
    """Tell whether a qtype has a shift, groups and packed data."""
    return BITS[qtype] < 8
