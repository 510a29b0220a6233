"""Make ready: find both models, check that they belong together, prepare the samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from quantcli.comparison.engine.sides import Side, check_pair, open_side
from quantcli.comparison.engine.tasks import NEEDS, choose_task, model_class
from quantcli.comparison.engine.ways import PAIRED, Way, last, tell, ways
from quantcli.comparison.families.embeddings import Embedding
from quantcli.comparison.families.family import Family, Setting, UnsuitedError
from quantcli.comparison.families.labels import Labels, Masked
from quantcli.comparison.families.language import CausalLanguage, Seq2Seq
from quantcli.comparison.families.multimodal import Multimodal
from quantcli.comparison.families.transcripts import Transcripts
from quantcli.comparison.families.whole import AllOutputs
from quantcli.comparison.inputs.feeds import Feed, hash_feeds
from quantcli.comparison.inputs.kit import Kit, make_kit
from quantcli.comparison.inputs.synthetic import Synthetic
from quantcli.comparison.samples import SampleOptions, gather
from quantcli.errors import ModelError, UsageError
from quantcli.text import some

FAMILIES: dict[str, Callable[[], Family]] = {
    "text-embedding": lambda: Embedding("text"),
    "image-embedding": lambda: Embedding("image"),
    "text-image-embedding": lambda: Embedding("text", "image"),
    "causal-lm": CausalLanguage,
    "image-text-to-text": lambda: Multimodal("image"),
    "audio-text-to-text": lambda: Multimodal("audio"),
    "seq2seq-lm": lambda: Seq2Seq("text"),
    "speech-seq2seq": lambda: Seq2Seq("audio"),
    "speech-ctc": Transcripts,
    "masked-lm": Masked,
    "text-classification": lambda: Labels("text"),
    "token-classification": lambda: Labels("text"),
    "image-classification": lambda: Labels("image"),
    "outputs": AllOutputs,
}

LIMITS = {"text": 100, "image": 24, "audio": 8}
"""How many built-in samples of each kind are taken unless asked otherwise."""

SLOW_LIMITS = LIMITS | {"text": 32}
"""The same, where the models write a text for every sample."""

PAIRED_LIMITS = {"text": 16, "image": 16, "audio": 8}
"""The same, where the texts have pictures or recordings in them."""

SLOW = ("seq2seq-lm", "speech-seq2seq")

SYNTHETIC = 32
"""How many synthetic samples are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be compared, and on what. `task` is None where the architecture decides.

    `revision` is the original's. Without `generate` the models continue no sample.
    """

    original: str
    quantized: str
    task: str | None = None
    samples: SampleOptions = field(default_factory=SampleOptions)
    revision: str | None = None
    max_tokens: int = 32
    generate: bool = True
    device: str = "cpu"
    trust_remote_code: bool = False
    show_downloads: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Both models found and checked, and what they will be fed; neither is loaded yet."""

    question: Question
    original: Side
    quantized: Side
    way: Way
    rest: tuple[Way, ...]
    """The ways that are left, should the models not run so."""
    reason: str
    """Why the first way will not do; empty where this is the first."""
    family: Family
    kit: Kit
    feeds: tuple[Feed, ...]
    sample_hash: str
    synthetic: bool
    notices: tuple[str, ...]

    @property
    def task(self) -> str:
        """What the models are compared as."""
        return self.way.task


def prepare(question: Question) -> Prepared:
    """Find both models, check that they belong together, and make the samples.

    Raises `UsageError` for samples that do not fit, `ModelError` for models that do not.
    """
    original, quantized = (
        open_side(
            name,
            revision=revision,
            trust_remote_code=question.trust_remote_code,
            progress=question.show_downloads,
        )
        for name, revision in ((question.original, question.revision), (question.quantized, None))
    )
    original = _same_class(question, original, quantized)
    check_pair(original, quantized)
    task = question.task or choose_task(original)
    found = ways(task, asked=question.task is not None, given=_is_given(question.samples))
    return _first(question, Pair(original, quantized, make_kit(original, quantized)), found)


def fall_back(prepared: Prepared, error: UnsuitedError) -> Prepared:
    """Return the next way to compare the models of `prepared`, which cannot be run so.

    Raises `error` where no other is left, or the next one would feed them the same.
    """
    if prepared.rest:
        pair = Pair(prepared.original, prepared.quantized, prepared.kit)
        reason = prepared.reason or error.message
        found = _first(prepared.question, pair, prepared.rest, reason)
        if found.sample_hash != prepared.sample_hash:
            return found
    raise last(error, prepared.way)


class Pair(NamedTuple):
    """Both models, and what prepares their samples."""

    original: Side
    quantized: Side
    kit: Kit


def _first(question: Question, pair: Pair, found: tuple[Way, ...], reason: str = "") -> Prepared:
    """Prepare the first of these ways for which there are samples."""
    way, rest = found[0], found[1:]
    family = AllOutputs(alone=True) if way.alone else FAMILIES[way.task]()
    try:
        feeds, synthetic = family.feeds(_setting(question, way.task, pair))
    except UnsuitedError as error:
        if not rest:
            raise last(error, way) from error
        return _first(question, pair, rest, reason or error.message)
    lacking = tuple(_lacking(pair.kit, way.task).values()) if synthetic else None
    return Prepared(
        question=question,
        original=pair.original,
        quantized=pair.quantized,
        way=way,
        rest=rest,
        family=family,
        kit=pair.kit,
        feeds=tuple(feeds),
        sample_hash=hash_feeds(feeds, way.task),
        synthetic=synthetic,
        reason=reason,
        notices=(*([tell(reason, way)] if reason else []), *_notices(pair.kit, family, lacking)),
    )


def _same_class(question: Question, original: Side, quantized: Side) -> Side:
    """Open the original as the class that was frozen (`quantize --class`), if it has that."""
    if quantized.model_class or original.architecture == quantized.architecture:
        return original
    try:
        return open_side(
            question.original,
            revision=question.revision,
            trust_remote_code=question.trust_remote_code,
            class_name=quantized.architecture,
        )
    except (ModelError, UsageError):
        return original


def _setting(question: Question, task: str, pair: Pair) -> Setting:
    limits = PAIRED_LIMITS if task in PAIRED else SLOW_LIMITS if task in SLOW else LIMITS
    lacking = _lacking(pair.kit, task) if _is_given(question.samples) else {}
    return Setting(
        kit=pair.kit,
        samples=gather(
            question.samples,
            needs=NEEDS[task],
            limits=limits,
            lacking={
                kind: f"{what}, and {question.original} has none" for kind, what in lacking.items()
            },
        ),
        synthetic=Synthetic(pair.original.config, seed=question.samples.seed),
        model_class=model_class(pair.original),
        max_tokens=question.max_tokens,
        generate=question.generate,
        seed=question.samples.seed,
        count=question.samples.samples or (PAIRED_LIMITS["image"] if task in PAIRED else SYNTHETIC),
    )


def _is_given(samples: SampleOptions) -> bool:
    return bool(samples.text or samples.image or samples.audio or samples.data)


def _lacking(kit: Kit, task: str) -> dict[str, str]:
    """Return what is missing to prepare samples of the kinds that a task takes."""
    makers = {
        "text": ("tokenizer", "a tokenizer"),
        "image": ("image_processor", "an image processor"),
        "audio": ("feature_extractor", "a feature extractor"),
    }
    needed = {kind: makers[kind] for kind in NEEDS[task]}
    return {kind: what for kind, (name, what) in needed.items() if getattr(kit, name) is None}


def _notices(kit: Kit, family: Family, lacking: tuple[str, ...] | None) -> list[str]:
    """Return what the user should know; `lacking` is None where no input is made up."""
    notices = []
    if lacking:
        names = " or ".join(name.split(" ", 1)[1] for name in lacking)
        notices.append(f"no {names} found: using random inputs")
    elif lacking is not None:
        notices.append("inputs are random, made from the config")
    if kit.truncated:
        notices.append(f"too long for the model and truncated: {some(kit.truncated)}")
    left_out = family.pooling.left_out if isinstance(family, Embedding) else ()
    if left_out:
        notices.append(f"modules after pooling are not run: {', '.join(left_out)}")
    return notices
