"""Make ready: find both models, check that they belong together, prepare the samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from quantcli.comparison.embeddings import Embedding
from quantcli.comparison.family import Family, Setting
from quantcli.comparison.feeds import Feed, hash_feeds
from quantcli.comparison.kit import Kit, make_kit
from quantcli.comparison.labels import Labels, Masked
from quantcli.comparison.language import CausalLanguage, Seq2Seq
from quantcli.comparison.sides import Side, check_pair, open_side
from quantcli.comparison.synthetic import Synthetic
from quantcli.comparison.tasks import NEEDS, choose_task, model_class
from quantcli.comparison.whole import AllOutputs
from quantcli.errors import ModelError, UsageError
from quantcli.samples import SampleOptions, gather

FAMILIES: dict[str, Callable[[], Family]] = {
    "text-embedding": lambda: Embedding("text"),
    "image-embedding": lambda: Embedding("image"),
    "text-image-embedding": lambda: Embedding("text", "image"),
    "causal-lm": CausalLanguage,
    "seq2seq-lm": lambda: Seq2Seq("text"),
    "speech-seq2seq": lambda: Seq2Seq("audio"),
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
    task: str
    family: Family
    kit: Kit
    feeds: tuple[Feed, ...]
    sample_hash: str
    synthetic: bool
    notices: tuple[str, ...]


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
    kit = make_kit(original, quantized)
    family = FAMILIES[task]()
    feeds, synthetic = family.feeds(_setting(question, task, original, kit))
    return Prepared(
        question=question,
        original=original,
        quantized=quantized,
        task=task,
        family=family,
        kit=kit,
        feeds=tuple(feeds),
        sample_hash=hash_feeds(feeds, task),
        synthetic=synthetic,
        notices=tuple(_notices(kit, family, synthetic=synthetic)),
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


def _setting(question: Question, task: str, original: Side, kit: Kit) -> Setting:
    slow = task in ("seq2seq-lm", "speech-seq2seq")
    limits = SLOW_LIMITS if slow else LIMITS
    return Setting(
        kit=kit,
        samples=gather(question.samples, needs=NEEDS[task], limits=limits),
        synthetic=Synthetic(original.config, seed=question.samples.seed),
        model_class=model_class(original),
        max_tokens=question.max_tokens,
        generate=question.generate,
        seed=question.samples.seed,
        count=question.samples.samples or SYNTHETIC,
    )


def _notices(kit: Kit, family: Family, *, synthetic: bool) -> list[str]:
    notices = []
    if synthetic:
        notices.append("synthetic: the inputs are random, made from the config")
    if kit.truncated:
        names = ", ".join(kit.truncated[:3])
        more = f" and {len(kit.truncated) - 3} more" if len(kit.truncated) > 3 else ""
        notices.append(f"too long for the model and truncated: {names}{more}")
    left_out = family.pooling.left_out if isinstance(family, Embedding) else ()
    if left_out:
        notices.append(f"modules after pooling are not run: {', '.join(left_out)}")
    return notices
