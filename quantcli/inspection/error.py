"""How far the values of one tensor are from another's: sums, and the figures that follow."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import reduce
from operator import add

_FIGURES = ("sqnr_db", "cosine", "mse", "max_error", "saturated_share", "zeroed_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorError:
    """Sums over the pairs of an original value x and the value y that it became.

    A pair counts for the sums if both are finite: `values` such pairs, `signal` = sum of x^2,
    `result` = sum of y^2, `product` = sum of x y, `noise` = sum of (x - y)^2, `max_error` = the
    largest |x - y|. `zeroed` counts those with x != 0 and y == 0. `not_finite` counts the other
    pairs, and `not_finite_changed` those of them where x and y are not the same (NaN is the same as
    NaN).

    `coded` values are quantized, and `saturated` of them. With a scale alone (int8, float8) a value
    is saturated if the magnitude of its code is the largest of the format: 127, 448 or 57344. The
    largest value of each row is, as its scale is made from it. With a scale and a shift (int4,
    int2) it is if its code is the first or the last, and x lies beyond what that code stands for
    by more than half a step: no code was near enough.

    Errors add up: the sum of those of several tensors is that of all their values.
    """

    values: int = 0
    signal: float = 0.0
    result: float = 0.0
    product: float = 0.0
    noise: float = 0.0
    max_error: float = 0.0
    zeroed: int = 0
    coded: int = 0
    saturated: int = 0
    not_finite: int = 0
    not_finite_changed: int = 0

    def __add__(self, other: TensorError) -> TensorError:
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return TensorError(**sums | {"max_error": max(self.max_error, other.max_error)})

    @property
    def exact(self) -> bool:
        """Whether every value is what it was."""
        return self.noise == 0 and self.max_error == 0 and self.not_finite_changed == 0

    @property
    def sqnr_db(self) -> float:
        """Signal-to-quantization-noise ratio in dB: 10 log10(signal / noise).

        Infinite without noise, minus infinity for noise without a signal.
        """
        if self.noise == 0:
            return math.inf
        if self.signal == 0 or math.isinf(self.noise):
            return -math.inf
        return 10 * (math.log10(self.signal) - math.log10(self.noise))

    @property
    def cosine(self) -> float:
        """Cosine of the angle between both tensors as vectors; 1 if both are 0, 0 if one is."""
        length = math.sqrt(self.signal) * math.sqrt(self.result)
        if length == 0:
            return 1.0 if self.noise == 0 else 0.0
        return max(-1.0, min(1.0, self.product / length)) if math.isfinite(length) else 0.0

    @property
    def mse(self) -> float:
        """Mean squared error: noise / values."""
        return self.noise / self.values if self.values else 0.0

    @property
    def saturated_share(self) -> float | None:
        """Share of the quantized values that are saturated; None if none is quantized."""
        return self.saturated / self.coded if self.coded else None

    @property
    def zeroed_share(self) -> float:
        """Share of all values that were not 0 and have become 0."""
        return self.zeroed / self.values if self.values else 0.0

    def figures(self) -> dict[str, float | int | bool | None]:
        """Return the figures and the sums as JSON-able data; what is not finite is None."""
        found = {name: getattr(self, name) for name in _FIGURES}
        found |= {f.name: getattr(self, f.name) for f in fields(self)}
        finite = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in found.items()
        }
        return {"exact": self.exact, **finite}


def pooled(errors: Iterable[TensorError | None]) -> TensorError | None:
    """Return the error of all values together; None if there are no errors."""
    found = [error for error in errors if error is not None]
    return reduce(add, found) if found else None
