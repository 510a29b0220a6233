"""Orders in which tensors and modules are listed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from quantcli.inspection.error import TensorError
from quantcli.inspection.records import ModuleInspection, TensorInspection

Listed = TypeVar("Listed", bound=TensorInspection | ModuleInspection)

_ERRORS: dict[str, Callable[[TensorError], float]] = {
    "sqnr": lambda error: error.sqnr_db,
    "cosine": lambda error: error.cosine,
    "mse": lambda error: -error.mse,
    "max-error": lambda error: -error.max_error,
    "saturated": lambda error: -(error.saturated_share or 0.0),
    "zeroed": lambda error: -error.zeroed_share,
}
"""Figures by name; the smallest of these numbers is the worst."""

ERROR_SORTS = tuple(_ERRORS)
"""Orders that need something to compare with: the worst first."""

SORTS = (*ERROR_SORTS, "bytes", "name", "model")
"""All orders; "model" is that of the model itself."""


def in_order(listed: Iterable[Listed], order: str) -> Sequence[Listed]:
    """Return tensors or modules in an order.

    By a figure, the worst is first: values that are no longer finite before all others, then those
    with an error, then exact ones, then those that have none to compare. What is equal stays in the
    order of the model.
    """
    found = [*listed]
    if order == "bytes":
        return sorted(found, key=lambda each: -each.bytes)
    if order == "name":
        return sorted(found, key=lambda each: each.name)
    if order == "model":
        return found
    figure = _ERRORS[order]
    return sorted(found, key=lambda each: _badness(each.error, figure))


def _badness(
    error: TensorError | None, figure: Callable[[TensorError], float]
) -> tuple[int, float]:
    if error is None:
        return 3, 0.0
    if error.not_finite_changed:
        return 0, -error.not_finite_changed
    return (2, 0.0) if error.exact else (1, _number(figure(error)))


def _number(value: float) -> float:
    return -math.inf if math.isnan(value) else value
