"""Run a model on samples, pass after pass, and write what was observed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from quantcli.calibrating.feeding import Fed, fall_back
from quantcli.calibrating.observer import Observer, Sink
from quantcli.calibrating.passes import Item, plan_passes
from quantcli.calibrating.sharing import Shared, Trace
from quantcli.calibrating.store import Store
from quantcli.calibrating.sums import Sums
from quantcli.calibrating.targets import Weights
from quantcli.comparison.families.family import UnsuitedError

if TYPE_CHECKING:
    from quantcli.execute import Progress

SAVE_SECONDS = 30.0
"""How much of a pass is lost if it is interrupted. The sums are as large as the memory they may
take, so that to save them takes seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A model with the samples that it runs on, and the weights that are observed."""

    model: Any
    weights: Weights
    fed: Fed

    def run(self, index: int, sink: Sink) -> None:
        """Run one sample."""
        with Observer(self.model, self.weights, sink):
            self.fed.run(self.model, index)


def trace(observed: Observed) -> tuple[Observed, Shared]:
    """Run a sample of each kind, and return which weights read the same inputs.

    If the model cannot be run on such samples, others are made, and returned with it.
    Raises `UnsuitedError` if it runs on none.
    """
    found, feeds = Trace(), observed.fed.feeds
    first = {feed.output: index for index, feed in reversed([*enumerate(feeds)])}
    try:
        for index in first.values():
            observed.run(index, found)
    except UnsuitedError as error:
        return trace(replace(observed, fed=fall_back(observed.fed, error)))
    return observed, found.shared(observed.weights.targets.values())


class Passes:
    """The passes over the samples that fill a store."""

    def __init__(self, observed: Observed, shared: Shared, memory: int) -> None:
        self._observed = observed
        self._owners = shared.owners
        targets = observed.weights.targets
        self.owners = [targets[name] for name in dict.fromkeys(shared.owners.values())]
        self.tables = [targets[name] for name in shared.tables]
        self.items: list[list[Item]] = plan_passes(self.owners, memory)

    def run(self, store: Store, progress: Progress) -> None:
        """Run what is left of the passes.

        Raises `DivergedError` if two weights do not share their inputs after all, and `ModelError`
        for inputs that are not finite. What was done by then is saved if the user interrupts.
        """
        samples = len(self._observed.fed.feeds)
        done, start = store.position
        progress.start(len(self.items) * samples)
        try:
            progress.advance(done * samples + start)
            for number in range(done, len(self.items)):
                self._pass(number, store, progress)
        finally:
            progress.stop()

    def _pass(self, number: int, store: Store, progress: Progress) -> None:
        sums = Sums(self.items[number], self._owners, self.tables if number == 0 else [])
        start = store.position[1]
        store.restore(sums)
        saved = time.monotonic()
        for index in range(start, len(self._observed.fed.feeds)):
            self._observed.run(index, sums)
            progress.advance(1)
            if time.monotonic() - saved > SAVE_SECONDS:
                store.save(sums, (number, index + 1))
                saved = time.monotonic()
        sums.finish()
        store.write(sums, number + 1)
