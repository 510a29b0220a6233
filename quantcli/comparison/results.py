"""What a comparison found, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from quantcli.text import layer_pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The value of a metric, with its 95 % interval where it is an estimate over samples."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideSummary:
    """One of the two models: what it is called, and what tells it from others.

    `fingerprint` is a sha256 over the tensors' names, dtypes, shapes and a sample of their bytes,
    so that the same weights have the same one wherever they lie. `weights` is the weight dtype of
    a frozen directory, or None for a checkpoint.
    """

    model: str
    revision: str | None
    architecture: str
    fingerprint: str
    weights: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """The greedy continuations of one prompt by both models, as text."""

    prompt: str
    original: str
    quantized: str

    @property
    def same(self) -> bool:
        """Tell whether both wrote the same."""
        return self.original == self.quantized


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What comparing two models found.

    `samples` is how many there were, `sample_hash` the sha256 of what the models were fed,
    `synthetic` tells that these were random inputs. `nonfinite` maps an output that held NaN or
    infinite values to the number of samples in which it did, `lost` counts the samples in which any
    did: they have no part in the metrics. `unreached` names the quantized modules that no sample
    reached. `versions` maps packages to versions.
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


def group_names(names: Iterable[str]) -> dict[str, int]:
    """Count the names of modules that differ only in numbers, such as `layers.*.mlp.up_proj`."""
    return dict(Counter(map(layer_pattern, names)))
