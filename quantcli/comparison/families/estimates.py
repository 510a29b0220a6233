"""From observations per sample to values with 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from quantcli.comparison.metrics.bootstrap import (
    Bootstrap,
    Statistic,
    interval,
    spearman,
    standard_error,
)
from quantcli.comparison.metrics.distributions import Distances
from quantcli.comparison.results import Measurement

Array = npt.NDArray[np.float64]

PAIRS = 3
"""Minimum number of samples for a rank correlation of their pairwise similarities."""


class Estimates:
    """Metrics of `count` samples. A single sample has no spread, so there are no intervals."""

    def __init__(self, count: int, *, seed: int) -> None:
        self._count = count
        self._bootstrap = Bootstrap(count, seed=seed) if count > 1 else None

    def mean(self, values: Sequence[float]) -> Measurement:
        """Return the mean of one value per sample."""
        array = np.asarray(values, dtype=np.float64)
        return self._with(float(array.mean()), lambda b: b.mean(array), array)

    def cosines(self, output: str, values: Sequence[float]) -> dict[str, Measurement]:
        """Return mean and minimum cosine of an output; the minimum has no interval."""
        return {
            f"cosine_{output}": self.mean(values),
            f"cosine_{output}_min": Measurement(value=float(np.min(values))),
        }

    def spearman(self, output: str, original: Array, quantized: Array) -> dict[str, Measurement]:
        """Return the rank correlation of pairwise similarities, from 3 samples on."""
        if self._count < PAIRS:
            return {}
        value = spearman(original, quantized)
        return {f"spearman_{output}": self._with(value, lambda b: b.spearman(original, quantized))}

    def distances(self, samples: Sequence[Distances]) -> dict[str, Measurement]:
        """Return KL, agreement and logit difference, pooled over the rows of all samples."""
        pooled = Distances.join(list(samples))
        counts = np.array([len(sample.kl) for sample in samples], dtype=np.float64)
        owners = np.repeat(np.arange(len(samples)), counts.astype(int))
        kl = {
            f"kl_{name}": self._quantile(pooled.kl, owners, level)
            for name, level in {"median": 0.5, "p90": 0.9, "p99": 0.99}.items()
        }
        return {
            "kl_mean": self.pooled([sample.kl for sample in samples], counts),
            **kl,
            "kl_max": Measurement(value=float(pooled.kl.max())),
            "top1_agreement": self.pooled([sample.same_top for sample in samples], counts),
            "max_logit_difference": Measurement(value=float(pooled.logit.max())),
        }

    def _quantile(self, values: Array, owners: npt.NDArray[np.int64], level: float) -> Measurement:
        value = float(np.quantile(values, level))
        return self._with(value, lambda b: b.quantile(values, owners, level))

    def pooled(self, rows: Sequence[Array], counts: Array) -> Measurement:
        """Return the mean over all rows of all samples."""
        sums = np.array([row.sum() for row in rows])
        value = float(sums.sum() / counts.sum())
        return self._with(value, lambda b: b.ratio(sums, counts), np.concatenate([*rows]))

    def tokens(
        self, original: Sequence[Array], quantized: Sequence[Array]
    ) -> dict[str, Measurement]:
        """Return perplexities and the change of the right token's probability.

        Takes -ln p of the right tokens, one array per sample. Perplexity is exp of their mean.
        """
        counts = np.array([len(row) for row in original], dtype=np.float64)
        sums = [np.array([row.sum() for row in side]) for side in (original, quantized)]
        squares = [(np.exp(-y) - np.exp(-x)) ** 2 for x, y in zip(original, quantized, strict=True)]
        change = self.pooled(squares, counts)
        found = {
            "probability_rms": Measurement(
                value=float(np.sqrt(change.value)),
                low=None if change.low is None else float(np.sqrt(change.low)),
                high=None if change.high is None else float(np.sqrt(change.high)),
            )
        }
        nlls = {
            "perplexity_original": sums[0],
            "perplexity_quantized": sums[1],
            "perplexity_ratio": sums[1] - sums[0],
        }
        for name, nll in nlls.items():
            found |= self._perplexity(name, nll, counts)
        return found

    def _perplexity(self, name: str, nll: Array, counts: Array) -> dict[str, Measurement]:
        with np.errstate(over="ignore"):
            value = float(np.exp(nll.sum() / counts.sum()))
            if self._bootstrap is None:
                return {name: Measurement(value=value)}
            draws = np.exp(self._bootstrap.ratio(nll, counts))
        low, high = interval(draws)
        return {
            name: Measurement(value=value, low=low, high=high),
            f"{name}_error": Measurement(value=standard_error(draws)),
        }

    def latency_ratio(self, original: Sequence[float], quantized: Sequence[float]) -> Measurement:
        """Return the ratio of the median times of forward passes on the same samples."""
        sides = [np.asarray(side) for side in (quantized, original)]
        owners = np.arange(self._count)
        value = float(np.median(sides[0]) / np.median(sides[1]))
        return self._with(
            value,
            lambda b: b.quantile(sides[0], owners, 0.5) / b.quantile(sides[1], owners, 0.5),
        )

    def _with(
        self, value: float, statistic: Statistic, observed: Array | None = None
    ) -> Measurement:
        values = () if observed is None else tuple(observed.tolist())
        if self._bootstrap is None:
            return Measurement(value=value, observed=values)
        low, high = interval(statistic(self._bootstrap))
        return Measurement(value=value, low=low, high=high, observed=values)
