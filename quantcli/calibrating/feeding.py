"""The inputs that one model is calibrated with."""

from __future__ import annotations

from dataclasses import replace

from quantcli.calibrating.request import MAX_TOKENS
from quantcli.comparison.engine.feeding import Fed, FeedOptions, feed_first, feed_next, make_family
from quantcli.comparison.engine.sides import Side
from quantcli.comparison.engine.tasks import find_task
from quantcli.comparison.engine.ways import Way, ways
from quantcli.comparison.families.family import TooShortError, UnsuitedError
from quantcli.comparison.inputs.feeds import Feed, hash_feeds
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.request import MAX_TOKENS as GENERATED
from quantcli.comparison.samples import SampleOptions
from quantcli.comparison.tasks import TASKS
from quantcli.errors import UsageError

__all__ = ["Fed", "fall_back", "feed"]


def feed(
    side: Side,
    samples: SampleOptions,
    *,
    task: str | None = None,
    max_tokens: int = MAX_TOKENS,
    self_generated: bool = False,
) -> Fed:
    """Make the inputs to calibrate a model with: the user's own samples, or built-in ones.

    `task` is None to choose it by the architecture. A text is cut to `max_tokens`; the built-in
    texts for language models are joined and cut into passages of that length. If `self_generated`,
    there are none until the model is loaded: `self_generated.write_samples` makes them.

    Raises `UsageError` for samples that do not fit or give no tokens, `UnsuitedError` if the model
    cannot be fed in any way.
    """
    chosen = find_task(side, task)
    options = FeedOptions(
        samples=replace(samples, purpose="calibrate"), max_tokens=GENERATED, generate=False
    )
    kit = replace(side.make_kit(), text_tokens=max_tokens)
    if self_generated:
        _check_writer(side, samples, chosen.name)
        return _unwritten(side, kit, options)
    found = ways(chosen, asked=task is not None, own_samples=samples.own)
    try:
        return _with_tokens(feed_first(side, kit, options, found))
    except TooShortError as error:
        raise UsageError(error.message, hint=_OTHER_TEXTS) from error


def fall_back(fed: Fed, error: UnsuitedError) -> Fed:
    """Make the inputs for the next way to run a model, which could not be run as `fed`.

    Raises `error` if there is no other way.
    """
    return _with_tokens(feed_next(fed, error))


_OTHER_TEXTS = "give longer texts with --text or --data, or none to use the built-in ones"


def _with_tokens(fed: Fed) -> Fed:
    """Leave out the inputs that are empty. Raises `UsageError` if no text has a token."""
    special = _special(fed.kit)
    texts = [feed for feed in fed.feeds if "input_ids" in feed.inputs]
    if texts and all(_tokens(feed) <= special for feed in texts):
        raise UsageError("the samples give no tokens", hint=_OTHER_TEXTS)
    kept = tuple(feed for feed in fed.feeds if feed not in texts or _tokens(feed))
    if len(kept) == len(fed.feeds):
        return fed
    return replace(fed, feeds=kept, sample_hash=hash_feeds(kept, fed.task))


def _special(kit: Kit) -> set[int]:
    """Return the tokens that a tokenizer adds to every text."""
    if kit.tokenizer is None:
        return set()
    return set(kit.check_twin("", ""))


def _tokens(feed: Feed) -> set[int]:
    return set(feed.inputs["input_ids"].flatten().tolist())


def _check_writer(side: Side, samples: SampleOptions, task: str) -> None:
    """Raise `UsageError` unless a model can write its own samples, and has to."""
    if task != "causal-lm":
        raise UsageError(
            f"--self-generated: {side.summary.model} is no causal language model ({task})",
            hint="leave it out to use the built-in samples",
        )
    if samples.own:
        raise UsageError(
            "--self-generated: the samples were given",
            hint="leave out --self-generated, or --text and --data",
        )


def _unwritten(side: Side, kit: Kit, options: FeedOptions) -> Fed:
    way = Way(task=TASKS["causal-lm"])
    return Fed(
        side=side,
        kit=kit,
        options=options,
        way=way,
        rest=(),
        reason="",
        family=make_family(way),
        feeds=(),
        sample_hash="",
        synthetic=False,
        notices=(),
    )
