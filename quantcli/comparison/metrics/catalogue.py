"""Every metric by name: its range, which direction is better, its unit, and who has it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric, or a family of them: `name` may hold a `*`, which stands for an output.

    `least` and `greatest` bound the values that it can have. `better` is the direction that an
    unchanged model has; "neither" describes one side alone.
    """

    name: str
    what: str
    better: Better = "neither"
    least: float = 0.0
    greatest: float = math.inf
    unit: str = ""


_COSINES = (
    Metric(
        name="cosine_*_min",
        what="minimum cosine over samples",
        better="higher",
        least=-1.0,
        greatest=1.0,
    ),
    Metric(
        name="cosine_*",
        what="mean cosine over samples",
        better="higher",
        least=-1.0,
        greatest=1.0,
    ),
)
_SPEARMAN = Metric(
    name="spearman_*",
    what="rank correlation of the pairwise similarities of samples",
    better="higher",
    least=-1.0,
    greatest=1.0,
)
_SQNR = Metric(
    name="sqnr_*",
    what="signal-to-quantization-noise ratio, mean over samples",
    better="higher",
    least=-math.inf,
    unit="dB",
)
_TOP1 = Metric(
    name="top1_agreement",
    what="how often both models have the same top choice",
    better="higher",
    greatest=1.0,
)
_KL = tuple(
    Metric(
        name=f"kl_{which}", what=f"KL(original || quantized), {what}", better="lower", unit="nat"
    )
    for which, what in {
        "mean": "mean",
        "median": "median",
        "p90": "90th percentile",
        "p99": "99th percentile",
        "max": "maximum",
    }.items()
)
_LOGITS = Metric(name="max_logit_difference", what="maximum difference of a logit", better="lower")
_TOKENS = (
    Metric(
        name="probability_rms",
        what="root mean square of the change of the right token's probability",
        better="lower",
        greatest=1.0,
    ),
    Metric(name="perplexity_original", what="perplexity of the original", least=1.0),
    Metric(name="perplexity_original_error", what="its standard error"),
    Metric(name="perplexity_quantized", what="perplexity of the quantized", least=1.0),
    Metric(name="perplexity_quantized_error", what="its standard error"),
    Metric(name="perplexity_ratio", what="perplexity, quantized over original", better="lower"),
    Metric(name="perplexity_ratio_error", what="its paired standard error"),
)
_GENERATION = (
    Metric(
        name="generation_match",
        what="share of samples whose greedy continuation is the same, token for token",
        better="higher",
        greatest=1.0,
    ),
    Metric(
        name="generation_prefix",
        what="share of the continuation before the first difference, mean over samples",
        better="higher",
        greatest=1.0,
    ),
    Metric(name="tokens_per_second_original", what="tokens generated a second, original"),
    Metric(name="tokens_per_second_quantized", what="tokens generated a second, quantized"),
)
ALWAYS = (
    Metric(name="bytes_original", what="size of the original's tensors", unit="bytes"),
    Metric(name="bytes_quantized", what="size of the quantized model's tensors", unit="bytes"),
    Metric(name="size_ratio", what="bytes, quantized over original", better="lower"),
    Metric(
        name="coverage",
        what="share of the parameters of weight matrices that are quantized",
        better="higher",
        greatest=1.0,
    ),
    Metric(
        name="exercised",
        what="share of the quantized weights that a forward pass reached",
        better="higher",
        greatest=1.0,
    ),
    Metric(name="peak_rss_original", what="peak resident memory, original", unit="bytes"),
    Metric(name="peak_rss_quantized", what="peak resident memory, quantized", unit="bytes"),
    Metric(name="latency_original", what="forward pass, median, original", unit="ms"),
    Metric(name="latency_original_p95", what="forward pass, 95th percentile, original", unit="ms"),
    Metric(name="latency_quantized", what="forward pass, median, quantized", unit="ms"),
    Metric(
        name="latency_quantized_p95", what="forward pass, 95th percentile, quantized", unit="ms"
    ),
    Metric(name="latency_ratio", what="median latency, quantized over original", better="lower"),
)
"""What every comparison measures."""

_DISTRIBUTIONS = (*_KL, _TOP1, _LOGITS)
_LANGUAGE = (*_KL, _TOP1, *_TOKENS, *_GENERATION)

_OF_TASK: dict[str, tuple[Metric, ...]] = {
    "text-embedding": (*_COSINES, _SPEARMAN),
    "image-embedding": (*_COSINES, _SPEARMAN),
    "text-image-embedding": (*_COSINES, _SPEARMAN, _TOP1),
    "causal-lm": _LANGUAGE,
    "image-text-to-text": _LANGUAGE,
    "audio-text-to-text": _LANGUAGE,
    "seq2seq-lm": _LANGUAGE,
    "speech-seq2seq": _LANGUAGE,
    "speech-ctc": (*_KL, _TOP1, *_GENERATION[:2]),
    "masked-lm": _DISTRIBUTIONS,
    "text-classification": _DISTRIBUTIONS,
    "token-classification": _DISTRIBUTIONS,
    "image-classification": _DISTRIBUTIONS,
    "outputs": (*_COSINES, _SQNR),
}

TASKS = tuple(_OF_TASK)
"""What a model can be compared as."""

_OUTPUTS = {
    "text-embedding": ("text",),
    "image-embedding": ("image",),
    "text-image-embedding": ("text", "image"),
}
"""The outputs of a task, where they are known before a model is run."""


def metrics_of(task: str) -> tuple[Metric, ...]:
    """Return the metrics of a task; those of each output under its name, where that is known."""
    found: list[Metric] = []
    for metric in _OF_TASK[task]:
        if "*" in metric.name and task in _OUTPUTS:
            found += [_of_output(metric, output) for output in _OUTPUTS[task]]
        else:
            found.append(metric)
    return (*found, *ALWAYS)


def find_metric(name: str, task: str | None = None) -> Metric | None:
    """Return the metric of this name, of any task or of one, or None where there is none.

    The name of a family, such as `cosine_*`, is found as well.
    """
    metric = _entry(name, task)
    return replace(metric, name=name) if metric is not None else None


def family(name: str) -> str:
    """Return the name under which the catalogue holds a metric: `cosine_*` for `cosine_text`."""
    metric = _entry(name, None)
    return metric.name if metric is not None else name


def _entry(name: str, task: str | None) -> Metric | None:
    for candidate in TASKS if task is None else (task,):
        for metric in (*_OF_TASK[candidate], *ALWAYS):
            if fnmatchcase(name, metric.name):
                return metric
    return None


def _of_output(metric: Metric, output: str) -> Metric:
    return replace(metric, name=metric.name.replace("*", output))
