"""Find both models, check that they belong together, prepare the samples."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

from quantcli.comparison.engine.opening import open_side
from quantcli.comparison.engine.sides import Side, check_pair
from quantcli.comparison.engine.tasks import find_task, model_class
from quantcli.comparison.engine.ways import Way, fallback_notice, last_error, ways
from quantcli.comparison.families.embeddings import Embedding
from quantcli.comparison.families.family import Family, Setting, UnsuitedError
from quantcli.comparison.families.whole import AllOutputs
from quantcli.comparison.gates import check_requirements
from quantcli.comparison.inputs.feeds import Feed, hash_feeds
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.inputs.pairing import pair_kits
from quantcli.comparison.inputs.synthetic import Synthetic
from quantcli.comparison.request import CompareRequest
from quantcli.comparison.samples import gather
from quantcli.comparison.tasks import Task
from quantcli.errors import ModelError, UsageError
from quantcli.text import some

_MAKERS = {
    "text": ("tokenizer", "a tokenizer"),
    "image": ("image_processor", "an image processor"),
    "audio": ("feature_extractor", "a feature extractor"),
}
"""What prepares samples of a kind: its attribute in a `Kit`, and its name in messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Both models, found and checked but not loaded, and the inputs for them."""

    request: CompareRequest
    original: Side
    quantized: Side
    way: Way
    rest: tuple[Way, ...]
    """The ways to try next if the original cannot be run in this one."""
    reason: str
    """Why the first way did not work; empty if this is the first."""
    family: Family
    kit: Kit
    feeds: tuple[Feed, ...]
    sample_hash: str
    synthetic: bool
    notices: tuple[str, ...]

    @property
    def task(self) -> str:
        """The name of the task that the models are compared as."""
        return self.way.task.name

    def check(self) -> None:
        """Raise `UsageError` if the gates or the baseline do not fit what is compared."""
        requirements = self.request.requirements
        known = self.quantized.coverage is not None
        check_requirements(requirements, self.task, coverage_known=known)
        if requirements.baseline is not None:
            requirements.baseline.check(self.original.summary, self.task, self.sample_hash)


def prepare(request: CompareRequest) -> Prepared:
    """Find both models, check that they belong together, and make the inputs for them.

    Raises `UsageError` for samples that do not fit, `ModelError` for models that do not.
    """
    original, quantized = (
        open_side(
            name,
            revision=revision,
            trust_remote_code=request.trust_remote_code,
            progress=request.show_downloads,
        )
        for name, revision in ((request.original, request.revision), (request.quantized, None))
    )
    original = _same_class(request, original, quantized)
    check_pair(original, quantized)
    task = find_task(original, request.task)
    found = ways(task, asked=request.task is not None, own_samples=request.samples.own)
    pair = Pair(original, quantized, pair_kits(original.make_kit(), quantized.make_kit()))
    return _prepare_first(request, pair, found)


def fall_back(prepared: Prepared, error: UnsuitedError) -> Prepared:
    """Return the next way to compare the models, which could not be run as `prepared`.

    Raises `error` if there is none, or if the next one has the same inputs.
    """
    if prepared.rest:
        pair = Pair(prepared.original, prepared.quantized, prepared.kit)
        reason = prepared.reason or error.message
        found = _prepare_first(prepared.request, pair, prepared.rest, reason)
        if found.sample_hash != prepared.sample_hash:
            return found
    raise last_error(error, prepared.way)


def make_family(way: Way) -> Family:
    """Return a new family for a way."""
    if way.alone:
        return AllOutputs(alone=True)
    module, _, name = way.task.family.partition(":")
    kind = getattr(import_module(f"quantcli.comparison.families.{module}"), name)
    family: Family = kind(*way.task.family_args)
    return family


class Pair(NamedTuple):
    """Both models, and what prepares their samples."""

    original: Side
    quantized: Side
    kit: Kit


def _prepare_first(
    request: CompareRequest, pair: Pair, found: tuple[Way, ...], reason: str = ""
) -> Prepared:
    """Prepare the first of these ways for which there are samples."""
    way, rest = found[0], found[1:]
    family = make_family(way)
    try:
        feeds, synthetic = family.feeds(_setting(request, way.task, pair))
    except UnsuitedError as error:
        if not rest:
            raise last_error(error, way) from error
        return _prepare_first(request, pair, rest, reason or error.message)
    notices = [fallback_notice(reason, way)] if reason else []
    if synthetic:
        notices.append(_synthetic_notice(pair.kit, way.task))
    return Prepared(
        request=request,
        original=pair.original,
        quantized=pair.quantized,
        way=way,
        rest=rest,
        family=family,
        kit=pair.kit,
        feeds=tuple(feeds),
        sample_hash=hash_feeds(feeds, way.task.name),
        synthetic=synthetic,
        reason=reason,
        notices=(*notices, *_notices(pair.kit, family)),
    )


def _same_class(request: CompareRequest, original: Side, quantized: Side) -> Side:
    """Open the original as the class that was frozen (`quantize --class`), if it can be."""
    if quantized.model_class or original.architecture == quantized.architecture:
        return original
    try:
        return open_side(
            request.original,
            revision=request.revision,
            trust_remote_code=request.trust_remote_code,
            class_name=quantized.architecture,
        )
    except (ModelError, UsageError):
        return original


def _setting(request: CompareRequest, task: Task, pair: Pair) -> Setting:
    options = request.samples
    missing = _missing(pair.kit, task) if options.own else {}
    return Setting(
        request=request,
        kit=pair.kit,
        samples=gather(
            options,
            needs=task.samples,
            limits=task.limits,
            captions=task.pipeline_input is not None,
            lacking={
                kind: f"{maker}, and {request.original} has none" for kind, maker in missing.items()
            },
        ),
        synthetic=Synthetic(pair.original.config, seed=options.seed),
        model_class=model_class(pair.original),
        count=options.limit or task.synthetic,
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


def _notices(kit: Kit, family: Family) -> list[str]:
    """Return what the user should know about how the samples are used."""
    notices = []
    if kit.truncated:
        notices.append(f"too long for the model and truncated: {some(kit.truncated)}")
    left_out = family.pooling.left_out if isinstance(family, Embedding) else ()
    if left_out:
        notices.append(f"modules after pooling are not run: {', '.join(left_out)}")
    return notices
