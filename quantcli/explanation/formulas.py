"""The steps of linear quantization as formulas, with their sources."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from quantcli.formats import WeightFormat

TEXTBOOK = "r = S (q - Z): Jacob et al. 2018, arXiv 1712.05877, equation 1"

BACK = "what the model computes with"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: what it finds, the formula, and what to know about it."""

    title: str
    formula: str
    words: str


def steps(weight_format: WeightFormat, span: str) -> tuple[Step, ...]:
    """Return the steps of a format. A scale is shared by a `span`: "row of 384 values"."""
    if weight_format.is_downcast:
        return _cast(weight_format)
    if weight_format.is_grouped:
        return _affine(int(weight_format.maximum), span)
    if weight_format.storage.startswith("float"):
        return _float8(weight_format, span)
    return _symmetric(weight_format, span)


def sources(weight_format: WeightFormat) -> tuple[str, ...]:
    """Return where the formulas are from."""
    if weight_format.is_downcast:
        return ("round to nearest, ties to even: IEEE 754-2019, section 4.3.1; torch.Tensor.to",)
    if weight_format.is_grouped:
        return (TEXTBOOK, "optimum-quanto 0.2.7: MaxOptimizer, AffineOptimizer, quantize_affine")
    return (TEXTBOOK, "optimum-quanto 0.2.7: AbsmaxOptimizer, quantize_symmetric")


def _symmetric(weight_format: WeightFormat, span: str) -> tuple[Step, ...]:
    low, high = int(weight_format.minimum), int(weight_format.maximum)
    return (
        Step(title="extreme values", formula="a = max |r|", words=f"over the whole {span}"),
        Step(title="scale", formula=f"S = a / {high}", words=f"{high} is the largest code"),
        Step(
            title="zero point",
            formula="Z = 0",
            words="the range from -a to a has 0 in its middle, so r = 0 is code 0",
        ),
        Step(
            title="integers",
            formula=f"q = clamp(round(r / S), {low}, {high})",
            words="stored in 8 bits each",
        ),
        Step(
            title="mapped back",
            formula="r' = S (q - Z) = S q",
            words=BACK,
        ),
        Step(title="error", formula="e = r' - r, |e| <= S / 2", words="half a step"),
    )


def _affine(high: int, span: str) -> tuple[Step, ...]:
    return (
        Step(title="extreme values", formula="min r and max r", words=f"over the whole {span}"),
        Step(
            title="scale",
            formula=f"S = (max r - min r) / {high}",
            words=f"{high + 1} codes, {high} steps",
        ),
        Step(
            title="zero point",
            formula=f"shift = -min r, Z = clamp(round(shift / S), 0, {high})",
            words="Quanto stores the float shift; Z is the textbook's integer, the code of 0",
        ),
        Step(
            title="integers",
            formula=f"q = clamp(round((r + shift) / S), 0, {high})",
            words=f"stored in {high.bit_length()} bits each",
        ),
        Step(
            title="mapped back",
            formula="r' = S q - shift",
            words="the textbook: S (q - Z), which moves every value by S Z - shift",
        ),
        Step(title="error", formula="e = r' - r, |e| <= S / 2", words="half a step"),
    )


def _float8(weight_format: WeightFormat, span: str) -> tuple[Step, ...]:
    high, storage = int(weight_format.maximum), weight_format.storage
    return (
        Step(title="extreme values", formula="a = max |r|", words=f"over the whole {span}"),
        Step(title="scale", formula=f"S = a / {high}", words=f"{high} is the largest {storage}"),
        Step(
            title="zero point",
            formula="Z = 0",
            words="floating-point numbers have a sign: the range is symmetric",
        ),
        Step(
            title="codes",
            formula=f"q = {storage}(r / S)",
            words="no integers: the nearest float8 numbers, a byte each",
        ),
        Step(title="mapped back", formula="r' = S q", words=BACK),
        Step(
            title="error",
            formula="e = r' - r, |e| <= S spacing(q) / 2",
            words=_spacing("q", getattr(torch, storage)),
        ),
    )


def _cast(weight_format: WeightFormat) -> tuple[Step, ...]:
    name = weight_format.storage
    dtype = getattr(torch, name)
    return (
        Step(
            title="no scale, no zero point",
            formula="each value by itself",
            words=f"{name} has an exponent in every value, from {torch.finfo(dtype).tiny:.2g} "
            f"to {torch.finfo(dtype).max:.2g}",
        ),
        Step(title="cast", formula=f"r' = {name}(r)", words=f"the nearest {name} number"),
        Step(
            title="error",
            formula="e = r' - r, |e| <= spacing(r) / 2",
            words=_spacing("r", dtype),
        ),
    )


def _spacing(letter: str, dtype: torch.dtype) -> str:
    """Return how far the numbers of a dtype are apart."""
    bits, smallest = exponents(dtype)
    return (
        f"spacing = 2^(e - {bits}) where 2^e <= |{letter}| < 2^(e + 1), "
        f"never below 2^{smallest - bits}"
    )


def exponents(dtype: torch.dtype) -> tuple[int, int]:
    """Return the bits of a dtype's mantissa, and the exponent of its smallest normal number."""
    info = torch.finfo(dtype)
    return _log2(1 / info.eps), _log2(info.smallest_normal)


def _log2(power: float) -> int:
    return round(torch.tensor(power, dtype=torch.float64).log2().item())
