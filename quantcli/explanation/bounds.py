"""How far a value can be from what it becomes: half a step, and what arithmetic adds to it."""

from __future__ import annotations

import torch

from quantcli.explanation.formulas import exponents
from quantcli.explanation.quantized import QuantizedRows
from quantcli.formats import WeightFormat


def spacing(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the distance of the neighbours in `dtype` around each value, in float64.

    It is 2^(e - m) from 2^e to 2^(e + 1), with m bits of mantissa; below the normal numbers that of
    the smallest one (IEEE 754).
    """
    bits, smallest = exponents(dtype)
    _, exponent = torch.frexp(values.double())  # values are 0.5 to 1 times 2^exponent
    exponent = torch.where(values == 0, smallest, exponent - 1).clamp_min(smallest)
    return torch.ldexp(torch.ones_like(values, dtype=torch.float64), exponent - bits)


def half_steps(found: QuantizedRows, weight_format: WeightFormat) -> torch.Tensor:
    """Return the bound of each value's error in exact arithmetic, in float64 (rows, columns)."""
    scale = found.scale.double()
    if not weight_format.storage.startswith("float"):
        return (scale / 2).expand(found.codes.shape)
    quotient = (found.values.double() / scale).nan_to_num(0).abs()
    return scale * spacing(quotient.clamp_max(weight_format.maximum), found.codes.dtype) / 2


def clipped(found: QuantizedRows, weight_format: WeightFormat) -> torch.Tensor:
    """Return which values lie more than half a step beyond the first or the last code."""
    low, high = weight_format.minimum, weight_format.maximum
    beyond = 0.5
    if weight_format.storage.startswith("float"):
        last = torch.tensor(high, dtype=torch.float64)
        beyond = spacing(last, getattr(torch, weight_format.storage)).item() / 2
    quotient = _quotients(found)
    return (quotient > high + beyond) | (quotient < low - beyond)


def _quotients(found: QuantizedRows) -> torch.Tensor:
    """Return what the codes stand for without rounding, in float64: r / S, or (r + shift) / S."""
    values = found.values.double()
    if found.shift is not None:
        values = values + found.shift.double()
    return (values / found.scale.double()).nan_to_num(0)


def computed_quotients(found: QuantizedRows) -> torch.Tensor:
    """Return what is rounded to the codes as Quanto computes it: in the dtype of the model."""
    values = found.values if found.shift is None else found.values + found.shift
    return (values / found.scale).nan_to_num(0)


def limits(found: QuantizedRows, half: torch.Tensor) -> torch.Tensor:
    """Return the bound of the error of each value that is not clipped, as it is computed.

    The model's dtype rounds each operation by a factor of at most 1 + u, where u is half of its
    epsilon. With r / S and S q rounded that is S / 2 + u (|r| + |S q|); an affine format rounds
    r + shift and S q - shift as well, and the stored shift may differ from the one in the codes.
    """
    info = torch.finfo(found.values.dtype)
    unit, tiny = info.eps / 2, info.smallest_normal * info.eps
    values, product = found.values.double(), found.scale.double() * found.codes.double()
    if found.shift is None or found.stored_shift is None:
        rounding = unit * (values.abs() + product.abs())
    else:
        shifted = values + found.shift.double()
        moved = (found.stored_shift.double() - found.shift.double()).abs()
        rounding = unit * (2 * shifted.abs() + product.abs() + found.restored.double().abs())
        rounding = rounding + moved
    return (half + rounding + tiny) * (1 + 4 * unit)
