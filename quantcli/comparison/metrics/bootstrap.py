"""95 % intervals by the bootstrap: samples are drawn again many times, with replacement.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), percentile intervals. The values of
one sample (the tokens of a text) are drawn together, since they are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from quantcli.comparison.metrics.vectors import ranks, similarities, weighted_correlation

Array = npt.NDArray[np.float64]

DRAWS = 1000

LEVELS = (0.025, 0.975)

Interval = tuple[float, float]


class Bootstrap:
    """Draws of `count` samples, the same ones for every metric, so that differences stay paired.

    Each method returns the values of a statistic over the draws, (DRAWS,).
    """

    def __init__(self, count: int, *, seed: int) -> None:
        generator = np.random.default_rng(seed)
        drawn = generator.multinomial(count, np.full(count, 1 / count), size=DRAWS)
        self._weights: Array = drawn.astype(np.float64)

    def ratio(self, sums: Array, counts: Array) -> Array:
        """Return the pooled mean, from sums (samples,) of `counts` (samples,) values each."""
        totals = self._weights @ counts
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((self._weights @ sums) / totals)

    def mean(self, values: Array) -> Array:
        """Return the mean of one value per sample."""
        return self.ratio(values, np.ones(len(values)))

    def quantile(self, values: Array, owners: npt.NDArray[np.int64], level: float) -> Array:
        """Return a quantile of pooled values; `owners` is the sample of each."""
        order = np.argsort(values)
        ordered, owned = values[order], owners[order]
        return np.concatenate(
            [_quantiles(ordered, part[:, owned], level) for part in self._parts()]
        )

    def spearman(self, original: Array, quantized: Array) -> Array:
        """Return the rank correlation of pairwise similarities, of embeddings (samples, width).

        A pair is drawn as often as both its samples; ranks are those of all pairs.
        """
        x, y = (ranks(similarities(rows)) for rows in (original, quantized))
        first, second = np.triu_indices(len(original), k=1)
        return np.concatenate(
            [weighted_correlation(x, y, w[:, first] * w[:, second]) for w in self._parts()]
        )

    def _parts(self, size: int = 100) -> Iterator[Array]:
        yield from (self._weights[i : i + size] for i in range(0, DRAWS, size))


def interval(draws: Array) -> Interval:
    """Return the 2.5 % and 97.5 % quantiles of a statistic over the draws.

    Leaves out NaN, as from a draw without two different samples.
    """
    some = draws[~np.isnan(draws)]
    if not len(some):
        return float("nan"), float("nan")
    # no interpolation, which fails between two infinite values
    low, high = np.quantile(some, LEVELS, method="inverted_cdf")
    return float(low), float(high)


def standard_error(draws: Array) -> float:
    """Return the standard deviation of a statistic over the draws."""
    return float(np.std(draws, ddof=1))


def spearman(original: Array, quantized: Array) -> float:
    """Return the rank correlation of the pairwise similarities of embeddings (samples, width)."""
    x, y = (ranks(similarities(rows)) for rows in (original, quantized))
    return float(weighted_correlation(x, y, np.ones((1, len(x))))[0])


def _quantiles(ordered: Array, weights: Array, level: float) -> Array:
    cumulated = weights.cumsum(axis=1)
    reached = cumulated >= level * cumulated[:, -1:]
    return np.asarray(ordered[reached.argmax(axis=1)])


Statistic = Callable[[Bootstrap], Array]
"""From the draws to the values of a metric over them."""
