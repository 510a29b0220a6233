"""Every metric, in groups of what is measured together."""

from __future__ import annotations

import math
from dataclasses import replace
from fnmatch import fnmatchcase

from quantcli.comparison.metrics.metric import Metric

_VECTORS = (
    Metric(
        name="cosine_*",
        description="mean cosine over samples",
        better="higher",
        minimum=-1.0,
        maximum=1.0,
        decimals=6,
    ),
    Metric(
        name="cosine_*_min",
        description="minimum cosine over samples",
        better="higher",
        minimum=-1.0,
        maximum=1.0,
        decimals=6,
    ),
)
_TOP1 = Metric(
    name="top1_agreement",
    description="how often both models have the same top choice",
    better="higher",
    maximum=1.0,
    decimals=4,
)
_AGREEMENT = (
    *(
        Metric(
            name=f"kl_{name}",
            description=f"KL(original || quantized), {statistic}",
            better="lower",
            unit="nat",
        )
        for name, statistic in {
            "mean": "mean",
            "median": "median",
            "p90": "90th percentile",
            "p99": "99th percentile",
            "max": "maximum",
        }.items()
    ),
    _TOP1,
)
_TOKENS = (
    Metric(
        name="probability_rms",
        description="root mean square of the change of the right token's probability",
        better="lower",
        maximum=1.0,
    ),
    Metric(
        name="perplexity_original",
        description="perplexity of the original",
        minimum=1.0,
        decimals=3,
        ratio="perplexity_ratio",
    ),
    Metric(name="perplexity_original_error", description="its standard error"),
    Metric(
        name="perplexity_quantized",
        description="perplexity of the quantized",
        minimum=1.0,
        decimals=3,
    ),
    Metric(name="perplexity_quantized_error", description="its standard error"),
    Metric(
        name="perplexity_ratio",
        description="perplexity, quantized over original",
        better="lower",
        decimals=5,
    ),
    Metric(name="perplexity_ratio_error", description="its paired standard error"),
)
_TEXTS = (
    Metric(
        name="generation_match",
        description="share of samples whose greedy continuation is the same, token for token",
        better="higher",
        maximum=1.0,
        decimals=4,
    ),
    Metric(
        name="generation_prefix",
        description="share of the continuation before the first difference, mean over samples",
        better="higher",
        maximum=1.0,
        decimals=4,
    ),
)
_SPEEDS = tuple(
    Metric(
        name=f"tokens_per_second_{side}",
        description=f"tokens generated per second, {side}",
        decimals=1,
    )
    for side in ("original", "quantized")
)

EMBEDDING = (
    *_VECTORS,
    Metric(
        name="spearman_*",
        description="rank correlation of the pairwise similarities of samples",
        better="higher",
        minimum=-1.0,
        maximum=1.0,
        decimals=6,
    ),
)
MATCHING = (*EMBEDDING, _TOP1)
OUTPUTS = (
    *_VECTORS,
    Metric(
        name="sqnr_*",
        description="signal-to-quantization-noise ratio, mean over samples",
        better="higher",
        minimum=-math.inf,
        unit="dB",
        decimals=2,
    ),
)
IMAGES = (
    *_VECTORS,
    Metric(
        name="psnr_*",
        description="peak signal-to-noise ratio, mean over samples",
        better="higher",
        minimum=-math.inf,
        unit="dB",
        decimals=2,
    ),
)
LABELS = (
    *_AGREEMENT,
    Metric(
        name="max_logit_difference", description="maximum difference of a logit", better="lower"
    ),
)
LANGUAGE = (*_AGREEMENT, *_TOKENS, *_TEXTS, *_SPEEDS)
TRANSCRIPTS = (*_AGREEMENT, *_TEXTS)
ALWAYS = (
    Metric(
        name="bytes_original",
        description="size of the original's tensors",
        unit="bytes",
        ratio="size_ratio",
    ),
    Metric(
        name="bytes_quantized",
        description="size of the quantized model's tensors",
        unit="bytes",
    ),
    Metric(
        name="size_ratio",
        description="bytes, quantized over original",
        better="lower",
        decimals=3,
    ),
    Metric(
        name="coverage",
        description="share of the parameters of weight matrices that are quantized",
        better="higher",
        maximum=1.0,
        decimals=4,
    ),
    Metric(
        name="exercised",
        description="share of the quantized weights that a forward pass reached",
        better="higher",
        maximum=1.0,
        decimals=4,
    ),
    *(
        Metric(
            name=f"peak_rss_{side}",
            description=f"peak resident memory, {side}",
            unit="bytes",
        )
        for side in ("original", "quantized")
    ),
    Metric(
        name="latency_original",
        description="forward pass, median, original",
        unit="ms",
        decimals=2,
        ratio="latency_ratio",
    ),
    Metric(
        name="latency_original_p95",
        description="forward pass, 95th percentile, original",
        unit="ms",
        decimals=2,
    ),
    Metric(
        name="latency_quantized",
        description="forward pass, median, quantized",
        unit="ms",
        decimals=2,
    ),
    Metric(
        name="latency_quantized_p95",
        description="forward pass, 95th percentile, quantized",
        unit="ms",
        decimals=2,
    ),
    Metric(
        name="latency_ratio",
        description="median latency, quantized over original",
        better="lower",
        decimals=3,
    ),
)
"""What every comparison measures."""

METRICS = tuple(
    dict.fromkeys((*EMBEDDING, *OUTPUTS, *IMAGES, *LABELS, *LANGUAGE, *TRANSCRIPTS, *ALWAYS))
)
"""Every metric once."""


def find_metric(name: str, metrics: tuple[Metric, ...] = METRICS) -> Metric | None:
    """Return the metric of this name, or None if none of `metrics` has it.

    Finds `cosine_text` and, as written in the catalogue, `cosine_*`.
    """
    metric = _entry(name, metrics)
    return replace(metric, name=name) if metric is not None else None


def any_metric(name: str) -> Metric:
    """Return the metric of this name; a bare one for other names, such as `nonfinite_text`."""
    return find_metric(name) or Metric(name=name, description="")


def catalogue_name(name: str) -> str:
    """Return the name that the catalogue has for a metric: `cosine_*` for `cosine_text`."""
    metric = _entry(name, METRICS)
    return metric.name if metric is not None else name


def _entry(name: str, metrics: tuple[Metric, ...]) -> Metric | None:
    # `cosine_text_min` also matches `cosine_*`: the longest pattern is the right one
    found = [metric for metric in metrics if fnmatchcase(name, metric.name)]
    return max(found, key=lambda metric: len(metric.name), default=None)
