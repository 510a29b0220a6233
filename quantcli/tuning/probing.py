"""The original with some of its weights replaced, measured against itself on the samples."""

from __future__ import annotations

import copy
import gc
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import torch

from quantcli.comparison.engine.spool import Spool
from quantcli.comparison.families.family import Outputs

if TYPE_CHECKING:
    from quantcli.comparison.engine.feeding import Fed

Metrics = dict[str, float]
"""Metrics of `compare` by name."""


class Probe:
    """A model that is loaded, and what it returned for each sample.

    A weight is replaced by giving its parameter another tensor, so the original stays mapped into
    memory and is put back without reading it again.
    """

    def __init__(self, fed: Fed, device: str = "cpu") -> None:
        self.fed = fed
        self._device = device
        self._model: Any = None
        self._spool = Spool()
        self._parameters: dict[str, torch.nn.Parameter] = {}

    def __enter__(self) -> Self:
        self._spool.__enter__()
        try:
            self._model = self.fed.side.load(self._device)
            named = self._model.named_parameters(remove_duplicate=False)
            self._parameters = dict(named)
            for index in range(len(self.fed.feeds)):
                self._spool.write(index, self._run(index, None))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._model, self._parameters = None, {}
        gc.collect()
        self._spool.__exit__(None, None, None)

    def holds(self, name: str) -> bool:
        """Return whether the model has a parameter of this name."""
        return name in self._parameters

    @contextmanager
    def replaced(self, values: Mapping[str, torch.Tensor]) -> Iterator[None]:
        """Give parameters other values for a while."""
        before = {name: self._parameters[name].data for name in values}
        try:
            for name, value in values.items():
                self._parameters[name].data = value
            yield
        finally:
            for name, value in before.items():
                self._parameters[name].data = value

    def measure(self) -> Metrics:
        """Run the samples through the model as it is now, and compare with the original.

        Empty if an output is not finite.
        """
        family = copy.deepcopy(self.fed.family)
        for index, feed in enumerate(self.fed.feeds):
            reference = self._spool.read(index)
            found = self._run(index, reference)
            if not all(v.isfinite().all() for v in found.values() if v.is_floating_point()):
                return {}
            family.observe(feed, reference, found)
        metrics = family.metrics(self.fed.options.samples.seed)
        return {name: measured.value for name, measured in metrics.items()}

    def _run(self, index: int, reference: Outputs | None) -> Outputs:
        with torch.inference_mode():
            return self.fed.run(self._model, index, reference)


def score(metrics: Mapping[str, float]) -> float:
    """Return how far outputs are from the original's: a number that adds up over modules.

    KL divergence, else 1 - cosine, mean over outputs. Both are of second order in a small error,
    and errors of different modules are nearly uncorrelated, so what several modules do is close to
    the sum of what each does. Infinite without metrics.
    """
    if "kl_mean" in metrics:
        return metrics["kl_mean"]
    cosines = [v for k, v in metrics.items() if k.startswith("cosine_") and not k.endswith("_min")]
    return 1 - sum(cosines) / len(cosines) if cosines else math.inf
