"""Every experiment, by the name that `--only` takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmark import experiments, fidelity, mixtures, running, tuning, weights

if TYPE_CHECKING:
    from benchmark.experiments import Setting
    from benchmark.runner import Experiment

EXPERIMENTS: dict[str, Callable[[Setting], Experiment]] = {
    "clip-int8": experiments.clip_int8,
    "clip-int4": experiments.clip_int4,
    "clip-float8": experiments.clip_float8,
    "8gb": experiments.llama_int8,
    "mixtral": mixtures.mixtral,
    "modules": mixtures.modules,
    "start": experiments.start,
    "size": experiments.size,
    "load": experiments.load,
    "compare": experiments.compare,
    "dequantize": weights.dequantize,
    "inspect": weights.inspect,
    **dict(fidelity.every()),
    **dict(tuning.every()),
    **dict(running.every()),
}
