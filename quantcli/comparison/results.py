"""The results of a comparison, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from quantcli.text import layer_pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The value of a metric, with its 95 % interval if it is an estimate over samples.

    `observed` holds the values that it is the mean of, one per sample, token or label; it is empty
    for what is not a mean.
    """

    value: float
    low: float | None = None
    high: float | None = None
    observed: tuple[float, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SideSummary:
    """One of the two models: its name, and what identifies its weights.

    `fingerprint` is a sha256 of the tensors' names, dtypes, shapes and a sample of their bytes, the
    same for copies of the same weights. `weights` is the weight dtype of a frozen directory, None
    for a checkpoint.
    """

    model: str
    revision: str | None
    architecture: str
    fingerprint: str
    weights: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """The texts that both models generate, greedily, for one prompt."""

    prompt: str
    original: str
    quantized: str

    @property
    def same(self) -> bool:
        """Whether both texts are the same."""
        return self.original == self.quantized


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The results of comparing two models.

    `samples` is their number, `sample_hash` the sha256 of the inputs; `synthetic` inputs are
    random. `nonfinite` maps an output to the number of samples with NaN or infinite values in it,
    `lost` counts the samples with any: they do not count in the metrics. `unreached` names the
    quantized modules that no sample reached. `versions` maps packages to versions.
    `kernels` says how a frozen directory computed, "" for other models.
    """

    original: SideSummary
    quantized: SideSummary
    task: str
    samples: int
    sample_hash: str
    synthetic: bool
    seed: int
    metrics: Mapping[str, Measurement]
    generated: tuple[Generated, ...] = ()
    nonfinite: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    unreached: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    kernels: str = ""


def group_names(names: Iterable[str]) -> dict[str, int]:
    """Count the names of modules that differ only in numbers, such as `layers.*.mlp.up_proj`."""
    return dict(Counter(map(layer_pattern, names)))
