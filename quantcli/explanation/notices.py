"""What is unusual about an explanation, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from quantcli.explanation.explanation import Explanation
from quantcli.planning import TensorPlan


def notices_of(found: Explanation, planned: TensorPlan, group_size: int | None) -> tuple[str, ...]:
    """Return what the user should know about an explanation; `group_size` is the requested one."""
    return (*_of_the_plan(found, planned, group_size), *_of_the_numbers(found))


def _of_the_plan(found: Explanation, planned: TensorPlan, group_size: int | None) -> Iterator[str]:
    if found.kept:
        yield f"{found.tensor} is kept: {found.kept}; explained as if it were quantized"
    if group_size is not None and found.method == "affine" and found.group_size != group_size:
        yield f"{found.tensor}: {planned.reason}"


def _of_the_numbers(found: Explanation) -> Iterator[str]:
    if found.method == "cast":
        yield from _of_a_cast(found)
        return
    if any(span.scale == 0 and span.minimum == span.maximum for span in found.spans):
        yield "all values of a row or group are equal: the scale is 0, and they stay as they were"
    clipped = sum(span.clipped for span in found.spans)
    if clipped:
        yield (
            f"{clipped} values lie beyond the last code and are clipped: {found.dtype} cannot hold "
            "the scale exactly enough"
        )
    if any(span.shift is not None and span.shift != -span.minimum for span in found.spans):
        yield (
            "the kernel that Quanto selects for this weight keeps the mid-point of a group instead "
            f"of its shift: in {found.dtype} the stored shift differs from -min r"
        )
    if any(span.share > 1 and not span.clipped for span in found.spans):
        unit = int(math.log2(torch.finfo(getattr(torch, found.dtype)).eps)) - 1
        yield (
            f"some errors are larger than half a step: {found.dtype} rounds each operation too, "
            f"by a factor of up to 1 + 2^{unit}"
        )


def _of_a_cast(found: Explanation) -> Iterator[str]:
    if found.dtype == found.weights:
        yield f"the model is in {found.weights} already: the cast changes nothing"
    elif not all(math.isfinite(value) for row in found.restored for value in row):
        yield f"values beyond the largest {found.weights} become infinite: quantize refuses them"
