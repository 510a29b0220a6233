"""From samples to the inputs of a model, in the first way that suits it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from quantcli.comparison.engine.seeds import seeded
from quantcli.comparison.engine.sides import Side
from quantcli.comparison.engine.tasks import model_class
from quantcli.comparison.engine.ways import Way, fallback_notice, last_error
from quantcli.comparison.families.clock import Clock
from quantcli.comparison.families.embeddings import Embedding
from quantcli.comparison.families.family import Family, Outputs, Setting, UnsuitedError
from quantcli.comparison.families.whole import AllOutputs
from quantcli.comparison.inputs.feeds import Feed, hash_feeds
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.inputs.synthetic import Synthetic
from quantcli.comparison.samples import SampleOptions, Samples, gather
from quantcli.comparison.tasks import Task
from quantcli.text import some

_MAKERS = {
    "text": ("tokenizer", "a tokenizer"),
    "image": ("image_processor", "an image processor"),
    "audio": ("feature_extractor", "a feature extractor"),
}
"""What prepares samples of a kind: its attribute in a `Kit`, and its name in messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedOptions:
    """The samples that a model gets, and what it generates.

    It generates up to `max_tokens` tokens; without `generate` only those that it needs as labels.
    """

    samples: SampleOptions
    max_tokens: int
    generate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """A model that is found and checked but not loaded, and the inputs for it."""

    side: Side
    kit: Kit
    options: FeedOptions
    way: Way
    rest: tuple[Way, ...]
    """The ways to try next if the model cannot be run in this one."""
    reason: str
    """Why the first way did not work; empty if this is the first."""
    family: Family
    feeds: tuple[Feed, ...]
    sample_hash: str
    synthetic: bool
    notices: tuple[str, ...]

    @property
    def task(self) -> str:
        """The name of the task that the model is run as."""
        return self.way.task.name

    def run(self, model: Any, index: int, reference: Outputs | None = None) -> Outputs:
        """Run a model on one sample, untimed; the same one always gets the same random numbers."""
        with seeded(self.options.samples.seed + index):
            return self.family.run(model, self.feeds[index], Clock(on=False), reference)


def feed_first(
    side: Side, kit: Kit, options: FeedOptions, found: tuple[Way, ...], reason: str = ""
) -> Fed:
    """Make the inputs for the first of these ways for which there are samples.

    `reason` is why an earlier way did not work. Raises `UnsuitedError` if no way is left.
    """
    way, rest = found[0], found[1:]
    family = make_family(way)
    try:
        feeds, synthetic = family.feeds(_setting(side, kit, options, way.task))
    except UnsuitedError as error:
        if not rest:
            raise last_error(error, way) from error
        return feed_first(side, kit, options, rest, reason or error.message)
    notices = [fallback_notice(reason, way, options.samples.purpose)] if reason else []
    if synthetic:
        notices.append(_synthetic_notice(kit, way.task))
    return Fed(
        side=side,
        kit=kit,
        options=options,
        way=way,
        rest=rest,
        reason=reason,
        family=family,
        feeds=tuple(feeds),
        sample_hash=hash_feeds(feeds, way.task.name),
        synthetic=synthetic,
        notices=(*notices, *_notices(kit, family, options.samples)),
    )


def feed_next(fed: Fed, error: UnsuitedError) -> Fed:
    """Make the inputs for the next way to run a model, which could not be run as `fed`.

    Raises `error` if there is none, or if the next one has the same inputs.
    """
    if fed.rest:
        reason = fed.reason or error.message
        found = feed_first(fed.side, fed.kit, fed.options, fed.rest, reason)
        if found.sample_hash != fed.sample_hash:
            return found
    raise last_error(error, fed.way)


def make_family(way: Way) -> Family:
    """Return a new family for a way."""
    if way.alone:
        return AllOutputs(alone=True)
    module, _, name = way.task.family.partition(":")
    kind = getattr(import_module(f"quantcli.comparison.families.{module}"), name)
    family: Family = kind(*way.task.family_args)
    return family


def _setting(side: Side, kit: Kit, options: FeedOptions, task: Task) -> Setting:
    samples = options.samples
    return Setting(
        seed=samples.seed,
        max_tokens=options.max_tokens,
        generate=options.generate,
        kit=kit,
        samples=_gather(side, kit, samples, task),
        synthetic=Synthetic(side.config, seed=samples.seed),
        model_class=model_class(side),
        count=samples.limit or task.synthetic,
        passages=samples.limit or task.limits_for(samples.purpose).get("text", 0),
    )


def _gather(side: Side, kit: Kit, options: SampleOptions, task: Task) -> Samples:
    missing = _missing(kit, task) if options.own else {}
    return gather(
        options,
        needs=task.samples,
        limits=task.limits_for(options.purpose),
        captions=task.pipeline_input is not None,
        passages=task.passages,
        lacking={
            kind: f"{maker}, and {side.summary.model} has none" for kind, maker in missing.items()
        },
    )


def _missing(kit: Kit, task: Task) -> dict[str, str]:
    """Return what is missing to prepare samples, for each kind that a task takes."""
    makers = {kind: _MAKERS[kind] for kind in task.samples}
    return {kind: what for kind, (name, what) in makers.items() if getattr(kit, name) is None}


def _synthetic_notice(kit: Kit, task: Task) -> str:
    missing = _missing(kit, task).values()
    if not missing:
        return "inputs are random, made from the config"
    names = " or ".join(what.split(" ", 1)[1] for what in missing)
    return f"no {names} found: using random inputs"


def _notices(kit: Kit, family: Family, options: SampleOptions) -> list[str]:
    """Return what the user should know about how the samples are used."""
    notices = []
    if kit.truncated and (options.own or options.purpose == "measure"):
        why = "too long for the model" if kit.text_tokens is None else "too long"
        notices.append(f"{why} and truncated: {some(kit.truncated)}")
    left_out = family.pooling.left_out if isinstance(family, Embedding) else ()
    if left_out:
        notices.append(f"modules after pooling are not run: {', '.join(left_out)}")
    return notices
