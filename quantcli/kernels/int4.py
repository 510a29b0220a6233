"""Products with groups of int4 and int2 codes, in the layout of torch's int4 kernel for CPUs.

The kernel computes with (code - 8) * scale + zero, where `zero` is in the compute dtype as well.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from quantcli.kernels.machine import costs
from quantcli.kernels.scratch import scratch
from quantcli.upstream.torch import int4_kernel, pack_int4

_ROWS = 64
"""Rows of a block in the kernel's layout: a byte holds a code of one of the first half, and in its
upper half one of the second. So it is with AVX-512, for whole blocks."""

_SIZES = (128, 64, 32)
"""The sizes of groups that the kernel knows. Others are split."""

_LOWEST = {4: 0, 2: 6}
"""What is added to codes, by bits: those of int2 come to lie around 8, so that `zero` is small."""

_MIDDLE = 8
"""The code that stands for `zero`."""

_KERNEL = int4_kernel()

PACKED = 1 << 18
"""Codes that are packed at a time."""

BLOCK = 1 << 22
"""Pairs of codes that are dequantized at a time: products with fewer columns are less efficient."""


class Packed(NamedTuple):
    """A weight in the kernel's layout.

    `codes` (n / 64, k, 32) in uint8, with `lowest` added; `zeros` (k / size, n, 2), the scale and
    the zero of each group of the kernel, of which `each` have the same in a row.
    """

    codes: torch.Tensor
    zeros: torch.Tensor
    lowest: int
    each: int = 1


def fits(shape: tuple[int, ...], size: int | None) -> bool:
    """Return whether a weight of this shape and size of groups can be packed on this machine."""
    if len(shape) != 2 or costs() is None:
        return False
    return shape[0] % _ROWS == 0 and _kernel_size(size or shape[1]) is not None


def pack(
    data: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, shape: tuple[int, int], bits: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes and zeros in the kernel's layout, of a weight (n, k) in Quanto's.

    `data` (bytes, size) holds groups of codes, and byte row i those of the groups i, i + bytes, ...
    Raises `ValueError` for what does not fit.
    """
    rows, columns = shape
    groups, size = scale.numel() // rows, data.shape[1]
    kernel = _kernel_size(size)
    if kernel is None:
        raise ValueError(f"groups of {size} cannot be split")
    lowest = _LOWEST[bits]
    scales = scale.view(rows, groups)
    both = torch.stack([scales, (_MIDDLE - lowest) * scales - shift.view(rows, groups)], dim=2)
    zeros = both.repeat_interleave(size // kernel, dim=1).transpose(0, 1).contiguous()
    found = torch.empty(rows // _ROWS, columns, _ROWS // 2, dtype=torch.uint8)
    # a few rows at a time, in memory that is kept: what is freed would leave holes behind
    step = max(1, PACKED // (columns * _ROWS)) * _ROWS
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        codes = _unpacked(data, start * groups, stop * groups, bits).add_(lowest)
        part = pack_int4(codes.view(-1, columns))
        blocks = found[start // _ROWS : stop // _ROWS]
        blocks.copy_(part.view_as(blocks))
    return found, zeros


def _unpacked(data: torch.Tensor, start: int, stop: int, bits: int) -> torch.Tensor:
    """Return the codes of some groups, (groups, size) in int32."""
    nibbles = scratch((stop - start, data.shape[1]), torch.uint8)
    for index in range(8 // bits):
        first = index * len(data)
        low, high = max(start, first), min(stop, first + len(data))
        if low < high:
            own = data[low - first : high - first]
            torch.bitwise_right_shift(own, bits * index, out=nibbles[low - start : high - start])
    return scratch(tuple(nibbles.shape), torch.int32).copy_(nibbles.bitwise_and_(2**bits - 1))


def packed(codes: torch.Tensor, zeros: torch.Tensor, bits: int, groups: int = 0) -> Packed:
    """Return a weight of what `pack` returned, or of what Quanto has packed for this kernel.

    Codes may be of any shape. `groups` is how many a row had before they were split.
    """
    blocks = codes.view(zeros.shape[1] // _ROWS, -1, _ROWS // 2)
    return Packed(blocks, zeros, _LOWEST[bits], len(zeros) // (groups or len(zeros)))


def unpack(packed: Packed) -> torch.Tensor:
    """Return the codes (n, k) in uint8."""
    blocks, columns, half = packed.codes.shape
    found = packed.codes.new_empty(blocks, 2, half, columns)
    found[:, 0] = (packed.codes & 15).transpose(1, 2)
    found[:, 1] = (packed.codes >> 4).transpose(1, 2)
    return found.view(blocks * _ROWS, columns).sub_(packed.lowest)


class Product:
    """Multiplies with a packed weight (n, k), in bfloat16."""

    def __init__(self, packed: Packed) -> None:
        self._packed = packed
        self._codes = packed.codes.view(-1, packed.codes.shape[1] // 2)
        self._size = packed.codes.shape[1] // len(packed.zeros)
        known = costs()
        self._few = known.int4_rows if known is not None else 0

    def __call__(self, inputs: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Return inputs (m, k) @ weight' + bias.

        For few rows by the kernel; for more, the weight is dequantized a block of rows at a time.
        """
        if len(inputs) <= self._few or torch.compiler.is_compiling():
            found: torch.Tensor = _KERNEL(inputs, self._codes, self._size, self._packed.zeros)
        else:
            found = _in_blocks(inputs, self._packed)
        return found if bias is None else found.add_(bias)


def _in_blocks(inputs: torch.Tensor, packed: Packed) -> torch.Tensor:
    """Dequantize some blocks, transposed and with their halves apart, and multiply."""
    blocks, columns, half = packed.codes.shape
    step = min(blocks, max(1, BLOCK // (columns * half)))
    found = inputs.new_empty(len(inputs), blocks, 2, half)
    zeros = packed.zeros[:: packed.each].view(-1, blocks, 2, half, 2)
    zeros = zeros.permute(4, 0, 2, 1, 3).contiguous()
    groups = zeros.shape[1]
    for start in range(0, blocks, step):
        part = slice(start, min(start + step, blocks))
        count = part.stop - part.start
        width = count * half
        # moved in pairs of codes, whose runs are short, and taken apart once they are long
        both = scratch((3, columns * width), torch.uint8)
        pairs, codes = both[0].view(columns, width), both[1:].view(columns, 2, width)
        pairs.view(columns, count, half).copy_(packed.codes[part].transpose(0, 1))
        torch.bitwise_and(pairs, 15, out=codes[:, 0])
        torch.bitwise_right_shift(pairs, 4, out=codes[:, 1])
        values = scratch((columns, 2 * width), inputs.dtype)
        values.copy_(codes.sub_(_MIDDLE).view(torch.int8).view_as(values))
        values = values.view(groups, -1, 2 * width)
        scale, zero = zeros[:, :, :, part].reshape(2, groups, 1, -1)
        torch.addcmul(zero, values, scale, out=values)
        products = (inputs @ values.view(columns, -1)).view(-1, 2, count, half)
        found[:, part] = products.transpose(1, 2)
    return found.view(len(inputs), -1)


def _kernel_size(size: int) -> int | None:
    """Return the size of groups in the kernel, None if it has none that divides a group."""
    return next((each for each in _SIZES if size % each == 0), None)
