"""From two runs to a comparison: metrics, sizes, times, notices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch

from quantcli.comparison.engine.prepare import Prepared
from quantcli.comparison.families.clock import Clock
from quantcli.comparison.families.estimates import Estimates
from quantcli.comparison.results import Comparison, Measurement, group_names
from quantcli.text import plural, some

PERCENTILE = 0.95
"""The quantile for `latency_*_p95`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """Results of running one of the models.

    `peak` is the peak resident memory, None if unknown. `varying` names the outputs that differed
    when the same sample ran twice. `exercised` is the share of the quantized weights that ran,
    `unreached` the quantized modules that did not. `nonfinite` counts the samples with NaN or
    infinite values by output, `lost` those with any. `kernels` says how a frozen model computed.
    """

    clock: Clock
    peak: int | None
    varying: tuple[str, ...] = ()
    exercised: float | None = None
    unreached: tuple[str, ...] = ()
    nonfinite: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    kernels: str = ""


def sum_up(prepared: Prepared, first: Ran, second: Ran, seconds: float) -> Comparison:
    """Return the comparison. Samples with NaN or infinite outputs do not count in the metrics."""
    seed = prepared.request.samples.seed
    metrics = prepared.fed.family.metrics(seed) if second.lost < len(prepared.fed.feeds) else {}
    metrics |= _footprints(prepared, first, second) | _speeds(first, second, seed)
    return Comparison(
        original=prepared.original.summary,
        quantized=prepared.quantized.summary,
        task=prepared.task,
        samples=len(prepared.fed.feeds),
        sample_hash=prepared.fed.sample_hash,
        synthetic=prepared.fed.synthetic,
        seed=seed,
        metrics=metrics,
        generated=prepared.fed.family.generated(prepared.fed.kit),
        nonfinite=dict(second.nonfinite),
        lost=second.lost,
        unreached=second.unreached,
        notices=(*prepared.fed.notices, *_notices(prepared, first, second)),
        versions=_versions(prepared),
        seconds=seconds,
        kernels=second.kernels,
    )


def _notices(prepared: Prepared, first: Ran, second: Ran) -> Iterator[str]:
    """Yield what the user should know before trusting the metrics."""
    names = (prepared.original.summary.model, prepared.quantized.summary.model)
    for name, ran in zip(dict.fromkeys(names), (first, second), strict=False):
        if ran.varying:
            yield (
                f"{name} is not deterministic: {', '.join(ran.varying)} changed when the same "
                "sample ran twice with the same seed; the metrics include that difference"
            )
    if second.exercised is not None and second.exercised < 1:
        yield (
            f"no sample reached {plural(len(second.unreached), 'quantized module')}, "
            f"{1 - second.exercised:.1%} of the quantized weights; the comparison says nothing "
            f"about them ({some(list(group_names(second.unreached)))})"
        )


def _footprints(prepared: Prepared, first: Ran, second: Ran) -> dict[str, Measurement]:
    original, quantized = prepared.original, prepared.quantized
    found = {
        "bytes_original": original.nbytes,
        "bytes_quantized": quantized.nbytes,
        "size_ratio": quantized.nbytes / original.nbytes if original.nbytes else math.nan,
        "coverage": quantized.coverage,
        "exercised": second.exercised,
        "peak_rss_original": first.peak,
        "peak_rss_quantized": second.peak,
    }
    return _exact(found)


def _speeds(first: Ran, second: Ran, seed: int) -> dict[str, Measurement]:
    found: dict[str, float | None] = {}
    for side, ran in {"original": first, "quantized": second}.items():
        passes = torch.tensor(ran.clock.passes, dtype=torch.float64) * 1000
        if len(passes):
            found[f"latency_{side}"] = float(passes.quantile(0.5))
            found[f"latency_{side}_p95"] = float(passes.quantile(PERCENTILE))
        found[f"tokens_per_second_{side}"] = ran.clock.tokens_per_second
    metrics = _exact(found)
    if first.clock.passes and len(first.clock.passes) == len(second.clock.passes):
        estimates = Estimates(len(first.clock.passes), seed=seed)
        metrics["latency_ratio"] = estimates.latency_ratio(first.clock.passes, second.clock.passes)
    return metrics


def _exact(values: dict[str, float | None]) -> dict[str, Measurement]:
    return {
        name: Measurement(value=float(value)) for name, value in values.items() if value is not None
    }


def _versions(prepared: Prepared) -> dict[str, str]:
    import platform
    from importlib.metadata import version

    packages = ["quantcli", "optimum-quanto", "torch", "transformers"]
    packages += ["diffusers"] if prepared.fed.way.task.pipeline_input is not None else []
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
