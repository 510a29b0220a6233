"""Run both models, one after the other, on the same samples."""

from __future__ import annotations

import gc
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import torch

from quantcli.comparison.clock import Clock
from quantcli.comparison.family import Outputs, settled
from quantcli.comparison.spool import Spool
from quantcli.comparison.summary import Ran, sum_up
from quantcli.errors import ModelError
from quantcli.process import peak_rss_bytes, reset_peak_rss

if TYPE_CHECKING:
    from quantcli.comparison.data import Comparison
    from quantcli.comparison.feeds import Feed
    from quantcli.comparison.prepare import Prepared
    from quantcli.comparison.sides import Side
    from quantcli.execute import Progress


def run(prepared: Prepared, progress: Progress) -> Comparison:
    """Run both models on the same samples, one after the other, and compare what they give.

    Raises `ModelError` where one of them cannot be run, `MachineError` where the disk is full.
    """
    began = time.perf_counter()
    progress.start(2 * len(prepared.feeds))
    try:
        with Spool() as spool, torch.inference_mode():
            first = _run_original(prepared, spool, progress)
            second, nonfinite = _run_quantized(prepared, spool, progress)
    finally:
        progress.stop()
    return sum_up(prepared, first, second, nonfinite, time.perf_counter() - began)


def _run_original(prepared: Prepared, spool: Spool, progress: Progress) -> Ran:
    with _Loaded(prepared.original, prepared) as loaded, settled():
        for index, feed in enumerate(prepared.feeds):
            spool.write(index, prepared.family.run(loaded.model, feed, loaded.clock, None))
            progress.advance(1)
        return loaded.ran()


def _run_quantized(
    prepared: Prepared, spool: Spool, progress: Progress
) -> tuple[Ran, Counter[str]]:
    nonfinite: Counter[str] = Counter()
    with settled(), _Loaded(prepared.quantized, prepared) as loaded:
        for index, feed in enumerate(prepared.feeds):
            reference = spool.read(index)
            found = prepared.family.run(loaded.model, feed, loaded.clock, reference)
            _check_shapes(prepared, reference, found)
            broken = _nonfinite(reference, found)
            nonfinite.update(broken)
            if not broken:
                prepared.family.observe(feed, reference, found)
            progress.advance(1)
        return loaded.ran(), nonfinite


class _Loaded:
    """A model in memory, warmed up, and gone when the block is left."""

    def __init__(self, side: Side, prepared: Prepared) -> None:
        self._side = side
        self._prepared = prepared
        self.clock = Clock()
        self.model: Any = None
        self._measured = False

    def __enter__(self) -> Self:
        self._measured = reset_peak_rss()
        self.model = self._side.load(self._prepared.question.device)
        warm = Clock(on=False)
        for feed in _one_of_each(self._prepared.feeds):
            self._prepared.family.run(self.model, replace(feed, generate=False), warm, None)
        return self

    def __exit__(self, *exception: object) -> None:
        self.model = None
        gc.collect()  # modules refer to each other, and the next model needs the room

    def ran(self) -> Ran:
        return Ran(clock=self.clock, peak=peak_rss_bytes() if self._measured else None)


def _one_of_each(feeds: tuple[Feed, ...]) -> list[Feed]:
    return list({feed.output: feed for feed in reversed(feeds)}.values())


def _check_shapes(prepared: Prepared, original: Outputs, quantized: Outputs) -> None:
    for name, tensor in original.items():
        found = quantized.get(name)
        if name != "generated" and (found is None or found.shape != tensor.shape):
            raise ModelError(
                f"{prepared.original.summary.model} and {prepared.quantized.summary.model} give "
                f"{name} of different shape",
                hint="compare a model with its own quantized version",
            )


def _nonfinite(original: Outputs, quantized: Outputs) -> list[str]:
    """List the outputs that hold NaN, or infinite values where the original's are not."""
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
