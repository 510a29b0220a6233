"""Run both models, one after the other, on the same samples."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import torch

from quantcli.comparison.engine.reached import Reached
from quantcli.comparison.engine.seeds import seeded
from quantcli.comparison.engine.spool import Spool
from quantcli.comparison.engine.summary import Ran, sum_up
from quantcli.comparison.families.clock import Clock
from quantcli.comparison.families.family import Outputs, settled
from quantcli.errors import ModelError
from quantcli.loading.runtime import asking, runtime_of
from quantcli.process import peak_rss_bytes, reset_peak_rss

if TYPE_CHECKING:
    from quantcli.comparison.engine.prepare import Prepared
    from quantcli.comparison.engine.sides import Side
    from quantcli.comparison.inputs.feeds import Feed
    from quantcli.comparison.results import Comparison
    from quantcli.execute import Progress

Estimate = Callable[[float], None]
"""Called after the first sample with about how many seconds are left."""


def run(prepared: Prepared, progress: Progress, on_estimate: Estimate | None = None) -> Comparison:
    """Run both models on the same samples, one after the other, and compare their outputs.

    Raises `ModelError` if one of them cannot be run, `MachineError` if the disk is full.
    """
    began = time.perf_counter()
    progress.start(2 * len(prepared.fed.feeds))
    try:
        with Spool() as spool, torch.inference_mode():
            first = _run_original(prepared, spool, progress, on_estimate)
            second = _run_quantized(prepared, spool, progress)
    finally:
        progress.stop()
    return sum_up(prepared, first, second, time.perf_counter() - began)


def _run_original(
    prepared: Prepared, spool: Spool, progress: Progress, on_estimate: Estimate | None
) -> Ran:
    with _Loaded(prepared.original, prepared) as loaded:
        loaded.warm_up({})
        with settled():
            _run_feeds(prepared, loaded, spool, progress, on_estimate)
        return loaded.ran()


def _run_feeds(
    prepared: Prepared,
    loaded: _Loaded,
    spool: Spool,
    progress: Progress,
    on_estimate: Estimate | None,
) -> None:
    for index, feed in enumerate(prepared.fed.feeds):
        began = time.perf_counter()
        spool.write(index, loaded.run(index, feed, None))
        if index == 0 and on_estimate is not None:
            on_estimate(_seconds_left(prepared, loaded.clock, time.perf_counter() - began))
        progress.advance(1)


def _run_quantized(prepared: Prepared, spool: Spool, progress: Progress) -> Ran:
    with settled(), _Loaded(prepared.quantized, prepared) as loaded:
        loaded.warm_up({index: spool.read(index) for index, _ in _one_of_each(prepared.fed.feeds)})
        for index, feed in enumerate(prepared.fed.feeds):
            reference = spool.read(index)
            found = loaded.run(index, feed, reference)
            _check_shapes(prepared, reference, found)
            broken = _nonfinite(reference, found)
            loaded.nonfinite.update(broken)
            if broken:
                loaded.lost += 1
            else:
                prepared.fed.family.observe(feed, reference, found)
            progress.advance(1)
        return loaded.ran()


class _Loaded:
    """A model in memory, freed on exit."""

    def __init__(self, side: Side, prepared: Prepared) -> None:
        self._side = side
        self._prepared = prepared
        self._seed = prepared.request.samples.seed
        self._warm: dict[int, Outputs] = {}
        self._varying: list[str] = []
        self.clock = Clock()
        self.model: Any = None
        self.reached: Any = None
        self.nonfinite: Counter[str] = Counter()
        self.lost = 0
        self._measured = False

    def __enter__(self) -> Self:
        self._measured = reset_peak_rss()
        request = self._prepared.request
        with asking(kernels=request.kernels, activations=request.activations):
            self.model = self._side.load(request.device)
        self.reached = Reached(self.model)
        return self

    def __exit__(self, *exception: object) -> None:
        self.model = self.reached = None
        gc.collect()  # modules refer to each other, and the next model needs the memory

    def warm_up(self, references: dict[int, Outputs]) -> None:
        """Run a sample of each kind, untimed. `run` compares its outputs with the timed run's."""
        stopped = Clock(on=False)
        for index, feed in _one_of_each(self._prepared.fed.feeds):
            short = replace(feed, generate=False)
            with self.reached.watch():
                self._warm[index] = self._run(index, short, references.get(index), stopped)

    def run(self, index: int, feed: Feed, reference: Outputs | None) -> Outputs:
        """Run a sample. The same sample always gets the same random numbers."""
        found = self._run(index, feed, reference, self.clock)
        for name, before in self._warm.pop(index, {}).items():
            if not _same(before, found[name]):
                self._varying.append(name)
        return found

    def _run(self, index: int, feed: Feed, reference: Outputs | None, clock: Clock) -> Outputs:
        with seeded(self._seed + index):
            return self._prepared.fed.family.run(self.model, feed, clock, reference)

    def ran(self) -> Ran:
        return Ran(
            clock=self.clock,
            peak=peak_rss_bytes() if self._measured else None,
            varying=tuple(dict.fromkeys(self._varying)),
            exercised=self.reached.share,
            unreached=self.reached.unreached,
            nonfinite=self.nonfinite,
            lost=self.lost,
            kernels=str(runtime_of(self.model) or ""),
        )


def _one_of_each(feeds: tuple[Feed, ...]) -> list[tuple[int, Feed]]:
    found = {feed.output: (index, feed) for index, feed in reversed([*enumerate(feeds)])}
    return list(found.values())


def _seconds_left(prepared: Prepared, clock: Clock, first: float) -> float:
    """Estimate from the first sample, which also generates text if any sample does."""
    forward = clock.passes[0] if clock.passes else first
    generating = sum(feed.generate for feed in prepared.fed.feeds)
    each = len(prepared.fed.feeds) * forward + generating * max(0.0, first - forward)
    return 2 * each - first


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())


def _check_shapes(prepared: Prepared, original: Outputs, quantized: Outputs) -> None:
    for name, tensor in original.items():
        found = quantized.get(name)
        if name != "generated" and (found is None or found.shape != tensor.shape):
            raise ModelError(
                f"{prepared.original.summary.model} and {prepared.quantized.summary.model} return "
                f"{name} with different shapes",
                hint="compare a model with its own quantized version",
            )


def _nonfinite(original: Outputs, quantized: Outputs) -> list[str]:
    """Return the outputs with NaN, or with infinite values that the original does not have."""
    return [
        name
        for name, tensor in original.items()
        if tensor.is_floating_point()
        and bool(
            (
                tensor.isnan()
                | quantized[name].isnan()
                | (quantized[name].isinf() & (quantized[name] != tensor))
            ).any()
        )
    ]
