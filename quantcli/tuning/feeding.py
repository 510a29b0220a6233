"""The samples that groups of modules are measured on."""

from __future__ import annotations

from dataclasses import replace

from quantcli.calibrating.feeding import Fed, feed
from quantcli.comparison.engine.feeding import FeedOptions, feed_first
from quantcli.comparison.engine.sides import Side
from quantcli.comparison.engine.tasks import find_task
from quantcli.comparison.engine.ways import ways
from quantcli.comparison.inputs.feeds import hash_feeds
from quantcli.comparison.request import MAX_TOKENS
from quantcli.comparison.samples import SampleOptions
from quantcli.comparison.tasks import TASKS

PASSAGES = 6
"""Long texts: every token of them gives a distribution."""

SHORT = 16
"""Other samples of each kind, which give one output each."""

TOKENS = {True: 256, False: 128}
"""Tokens of a text, by whether it is a passage."""


def feed_search(side: Side, *, task: str | None, seed: int) -> Fed:
    """Make the inputs for measuring groups: built-in samples to calibrate with, the last ones.

    A default calibration has used the first ones, and `compare` measures with others. Raises
    `UsageError` or `UnsuitedError` if the model cannot be fed.
    """
    found = feed(side, SampleOptions(seed=seed), task=task)
    record = TASKS[found.task]
    wanted = PASSAGES if record.passages else SHORT
    tokens = TOKENS[record.passages]
    used = max(record.calibration.values(), default=0)
    more = feed(side, SampleOptions(seed=seed, limit=used + wanted), task=task, max_tokens=tokens)
    kinds: dict[str, list[int]] = {}
    for index, each in enumerate(more.feeds):
        kinds.setdefault(each.output, []).append(index)
    kept = {index for indices in kinds.values() for index in indices[-wanted:]}
    feeds = tuple(each for index, each in enumerate(more.feeds) if index in kept)
    return replace(more, feeds=feeds, sample_hash=hash_feeds(feeds, more.task))


def check_samples(side: Side, samples: SampleOptions, *, task: str | None) -> None:
    """Make the inputs that both models are compared on, as `compare` would.

    Raises `UsageError` for samples that do not fit, before any model was loaded.
    """
    found = ways(find_task(side, task), asked=task is not None, own_samples=samples.own)
    options = FeedOptions(samples=samples, max_tokens=MAX_TOKENS, generate=False)
    feed_first(side, side.make_kit(), options, found)
