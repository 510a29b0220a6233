"""Similarity of two outputs as vectors, in float64."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def cosine(x: Array, y: Array) -> float:
    """Return x·y / sqrt(x·x · y·y), exactly 1 if x and y are equal.

    Two zero vectors give 1, a single one gives 0.
    """
    squares = float(x @ x) * float(y @ y)
    if squares == 0:
        return float(not x.any() and not y.any())
    return min(1.0, float(x @ y) / float(np.sqrt(squares)))


def sqnr(x: Array, y: Array) -> float:
    """Return the signal-to-quantization-noise ratio in dB: 20 log10(‖x‖ / ‖x - y‖).

    Infinite if x and y are equal.
    """
    noise = float(np.linalg.norm(x - y))
    if noise == 0:
        return float("inf")
    signal = float(np.linalg.norm(x))
    return 20 * float(np.log10(signal / noise)) if signal else float("-inf")


def psnr(x: Array, y: Array, peak: float) -> float:
    """Return the peak signal-to-noise ratio in dB: 10 log10(peak² / mean((x - y)²)).

    `peak` is the range of the values: 1 for images from 0 to 1. Infinite if x and y are equal.
    Huynh-Thu and Ghanbari, Scope of validity of PSNR in image/video quality assessment (2008).
    """
    noise = float(np.mean((x - y) ** 2)) if len(x) else 0.0
    if noise == 0:
        return float("inf")
    return 10 * float(np.log10(peak**2 / noise)) if peak else float("-inf")


def similarities(rows: Array) -> Array:
    """Return the cosine of every pair of rows, (n (n - 1) / 2,), each pair once."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny)
    first, second = np.triu_indices(len(rows), k=1)
    return np.asarray((unit @ unit.T)[first, second])


def ranks(values: Array) -> Array:
    """Return the rank of each value, from 0; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts + 1) / 2)[inverse])


def weighted_correlation(x: Array, y: Array, weights: Array) -> Array:
    """Return Pearson's correlation of x and y (n,) under each row of weights (b, n).

    On ranks it is Spearman's. NaN if x or y does not vary, or if all weights are 0.
    """
    x, y = x - x.mean(), y - y.mean()  # centred, so that the moments below lose no digits
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = weights / weights.sum(axis=1, keepdims=True)
        mean_x, mean_y = shares @ x, shares @ y
        covariance = shares @ (x * y) - mean_x * mean_y
        spread = (shares @ (x * x) - mean_x**2) * (shares @ (y * y) - mean_y**2)
        return np.asarray(np.clip(covariance / np.sqrt(np.maximum(spread, 0)), -1, 1))
