"""What rows become in a weight dtype: codes and scales, or a cast."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from quantcli.dtypes import SIZES
from quantcli.explanation.bounds import computed_quotients, half_steps, spacing
from quantcli.explanation.explanation import Span
from quantcli.explanation.measures import cast
from quantcli.explanation.quantized import quantize_rows
from quantcli.explanation.spans import spans
from quantcli.formats import WeightFormat
from quantcli.kinds.layout import FrozenWeight
from quantcli.planning import TensorPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Rows (rows, columns) in a weight dtype.

    `half` bounds the errors in exact arithmetic, `quotients` are what is rounded to the `codes`;
    a cast has neither codes nor quotients. `bits` is how many are stored for each value, scales
    included.
    """

    restored: torch.Tensor
    half: torch.Tensor
    codes: torch.Tensor | None = None
    quotients: torch.Tensor | None = None
    spans: tuple[Span, ...] = ()
    bits: float


def result_of(
    values: torch.Tensor,
    tensor: TensorPlan,
    weight_format: WeightFormat,
    *,
    first: int,
    columns: range,
) -> Result:
    """Return what rows of a tensor become, `first` being the number of the first one.

    The spans are those that have one of these `columns`.
    """
    if weight_format.is_downcast:
        dtype: torch.dtype = getattr(torch, weight_format.storage)
        half = spacing(values, dtype) / 2
        restored = cast(values, weight_format.name)
        return Result(restored=restored, half=half, bits=weight_format.bits)
    found = quantize_rows(values, tensor)
    return Result(
        restored=found.restored,
        half=half_steps(found, weight_format),
        codes=found.codes,
        quotients=computed_quotients(found),
        spans=tuple(spans(found, weight_format, first, columns)),
        bits=_bits(tensor),
    )


def _bits(tensor: TensorPlan) -> float:
    weight = FrozenWeight(
        weight_format=tensor.weight_format,
        shape=tensor.quantized_shape,
        group_size=tensor.group_size,
    )
    return 8 * weight.nbytes(SIZES[tensor.dtype]) / tensor.numel
