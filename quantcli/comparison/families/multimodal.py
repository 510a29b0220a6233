"""Models that generate text about an image or a recording."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from typing import Any, TypeVar

import torch

from quantcli.comparison.families.clock import Clock
from quantcli.comparison.families.embeddings import text_feeds
from quantcli.comparison.families.family import (
    CannotGenerateError,
    Outputs,
    Setting,
    UnsuitedError,
)
from quantcli.comparison.families.language import CausalLanguage, Seq2Seq, generating
from quantcli.comparison.families.placeholders import MEDIA, Placeholders, token_id
from quantcli.comparison.inputs.feeds import Feed
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.inputs.synthetic import forward_names
from quantcli.comparison.results import Generated, Measurement
from quantcli.comparison.samples import Item

_T = TypeVar("_T")
_U = TypeVar("_U")

QUESTION = {"image": "Describe this picture.", "audio": "What can be heard?"}
"""The text for an image or a recording that comes without one."""


class Multimodal:
    """Models that continue, or answer, a text with an image or a recording in it.

    The tokens that stand for the image are inserted when a model runs, since only the model knows
    how many it takes. They are not predicted: the distributions of all other tokens are compared.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._language: CausalLanguage | Seq2Seq = CausalLanguage()
        self._placeholders = Placeholders()
        self._cannot_generate = False

    def feeds(self, setting: Setting) -> tuple[list[Feed], bool]:
        """Return a feed for each image or recording, with a text."""
        if not forward_names(setting.model_class).intersection(MEDIA[self._kind].inputs):
            raise UnsuitedError(
                f"{setting.model_class.__name__} takes no {self._kind}", hint="try another --task"
            )
        if setting.kit.config.get("is_encoder_decoder"):
            self._language = Seq2Seq(self._kind)
        self._language.max_tokens = setting.max_tokens
        feeds, synthetic = _feeds(setting, self._kind)
        return generating(feeds) if setting.generate else feeds, synthetic

    def run(self, model: Any, feed: Feed, clock: Clock, reference: Outputs | None) -> Outputs:
        """Return the logits of each next token of the text, and the generated tokens."""
        inputs = self._placeholders.fill(model, feed.inputs)
        chosen = _predicted(model, inputs, self._kind)
        generate = feed.generate and not self._cannot_generate
        filled = replace(feed, inputs=inputs, chosen=chosen, generate=generate)
        try:
            return self._language.run(model, filled, clock, reference)
        except CannotGenerateError:
            if not generate or reference is not None:
                raise
            self._cannot_generate = True  # some need inputs of their own processor
            return self._language.run(model, replace(filled, generate=False), clock, reference)

    def observe(self, feed: Feed, original: Outputs, quantized: Outputs) -> None:
        """Store the distances between the distributions, and the generated tokens."""
        generated = "generated" in original and "generated" in quantized
        self._language.observe(replace(feed, generate=generated), original, quantized)

    def metrics(self, seed: int) -> dict[str, Measurement]:
        """Return KL, agreement, perplexity and how much of the generated texts is the same."""
        return self._language.metrics(seed)

    def generated(self, kit: Kit) -> tuple[Generated, ...]:
        """Return both texts of each sample."""
        return self._language.generated(kit)


def _predicted(model: Any, inputs: dict[str, torch.Tensor], kind: str) -> torch.Tensor | None:
    """Return the positions whose next token belongs to the text, or None for all."""
    if "input_ids" not in inputs:
        return None
    ids = inputs["input_ids"][0]
    reserved = inputs.get("image_embeds_position_mask", torch.zeros_like(ids)[None])[0]
    token = token_id(model.config, MEDIA[kind].token)
    others = reserved.bool() if token is None else reserved.bool() | ids.eq(token)
    return (~others[1:]).nonzero().flatten()


def _feeds(setting: Setting, kind: str) -> tuple[list[Feed], bool]:
    kit = setting.kit
    processor = kit.image_processor if kind == "image" else kit.feature_extractor
    if processor is not None and kit.tokenizer is not None and _takes_text(setting):
        return [_prepare(kit, kind, item, text) for item, text in _pairs(setting, kind)], False
    media = _synthetic(setting, kind) if processor is None else _without_text(setting, kind)
    if not _takes_text(setting):
        return media, processor is None
    texts = text_feeds(replace(setting, count=len(media)))[0]
    return [
        replace(feed, inputs={**feed.inputs, **text.inputs})
        for feed, text in zip(*_repeated(media, texts), strict=True)
    ], True


def _takes_text(setting: Setting) -> bool:
    """Return whether the model takes a text too: some only generate one."""
    return "input_ids" in forward_names(setting.model_class)


def _pairs(setting: Setting, kind: str) -> Iterator[tuple[Item, Item]]:
    """Pair images or recordings with texts: those of the same line, the others in order.

    The shorter list is repeated, so that every sample is used.
    """
    samples = setting.samples
    items = samples.images if kind == "image" else samples.audios
    texts = samples.texts
    if "text" in samples.built_in and (kind not in samples.built_in or kind == "audio"):
        texts = (Item(name="question", value=QUESTION[kind]),)
    named = {text.name: text for text in texts}
    both = {item.name for item in items if item.name in named}
    yield from ((item, named[item.name]) for item in items if item.name in both)
    free = [item for item in items if item.name not in both]
    rest = [text for text in texts if text.name not in both]
    if rest or free:
        question = Item(name="question", value=QUESTION[kind])
        yield from zip(*_repeated(free or list(items), rest or [question]), strict=True)


def _repeated(first: list[_T], second: list[_U]) -> tuple[list[_T], list[_U]]:
    """Repeat the shorter list until it is as long as the other."""
    count = max(len(first), len(second))
    return (list(islice(cycle(first), count)), list(islice(cycle(second), count)))


def _prepare(kit: Kit, kind: str, item: Item, text: Item) -> Feed:
    """Return the feed of an image or a recording and a text, by the joint processor if possible."""
    kit.check_twin(text.name, text.value)
    inputs = kit.process(kind, item.value, text.value)
    if inputs is None:
        inputs = _inputs(kit, kind, item) | kit.tokenize(text.name, text.value)
    shown = text.value if text.value == item.name else f"{item.name}: {text.value}"
    return _feed(item.name, inputs, shown, kit.labels(text.target))


def _inputs(kit: Kit, kind: str, item: Item) -> dict[str, torch.Tensor]:
    return kit.see(item.value) if kind == "image" else kit.hear(item.name, item.value)


def _without_text(setting: Setting, kind: str) -> list[Feed]:
    kit, samples = setting.kit, setting.samples
    items = samples.images if kind == "image" else samples.audios
    return [
        _feed(item.name, _inputs(kit, kind, item), item.name, kit.labels(item.target))
        for item in items
    ]


def _synthetic(setting: Setting, kind: str) -> list[Feed]:
    made = setting.synthetic
    make = made.pictures if kind == "image" else made.sounds
    what = "picture" if kind == "image" else "recording"
    names = [f"synthetic {what} {index + 1}" for index in range(setting.count)]
    return [_feed(name, make(forward_names(setting.model_class)), name) for name in names]


def _feed(
    name: str, inputs: dict[str, torch.Tensor], prompt: str, labels: torch.Tensor | None = None
) -> Feed:
    return Feed(name=name, output="text", inputs=inputs, prompt=prompt, labels=labels)
