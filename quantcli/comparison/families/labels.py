"""Models that classify, and models that fill in masked words."""

from __future__ import annotations

from typing import Any

import torch

from quantcli.comparison.families.clock import Clock
from quantcli.comparison.families.embeddings import image_feeds, text_feeds
from quantcli.comparison.families.estimates import Estimates
from quantcli.comparison.families.family import Outputs, Setting, call, logits_of
from quantcli.comparison.inputs.feeds import Feed
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.metrics.distributions import Distances, binary_distances, distances
from quantcli.comparison.results import Generated, Measurement

MASKED = 0.15
"""Share of a text's tokens that are masked, as in BERT's training."""


class Labels:
    """Distributions over labels: one per sample, or one per token."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._binary = False
        self._regression = False
        self._observed: list[Distances] = []

    def feeds(self, setting: Setting) -> tuple[list[Feed], bool]:
        """Return a feed for each text or image."""
        problem = setting.kit.config.get("problem_type")
        self._binary = problem == "multi_label_classification"
        return image_feeds(setting) if self._kind == "image" else text_feeds(setting)

    def run(self, model: Any, feed: Feed, clock: Clock, reference: Outputs | None) -> Outputs:
        """Return the logits, (rows, labels), of all tokens or of the feed's chosen ones."""
        del reference
        with clock.forward():
            output = call(model, feed.inputs)
        logits = logits_of(model, output)
        rows = logits.reshape(-1, logits.shape[-1])
        return {"logits": (rows if feed.chosen is None else rows[feed.chosen]).clone()}

    def observe(self, feed: Feed, original: Outputs, quantized: Outputs) -> None:
        """Store the distances between the distributions."""
        del feed
        x, y = original["logits"], quantized["logits"]
        self._regression = x.shape[-1] == 1 and not self._binary
        self._observed.append((binary_distances if self._binary else distances)(x, y))

    def metrics(self, seed: int) -> dict[str, Measurement]:
        """Return KL, agreement and the maximum logit difference; for a regression only the last."""
        found = Estimates(len(self._observed), seed=seed).distances(self._observed)
        if self._regression:
            return {"max_logit_difference": found["max_logit_difference"]}
        return found

    def generated(self, kit: Kit) -> tuple[Generated, ...]:
        """Return nothing: the models generate no text."""
        del kit
        return ()


class Masked(Labels):
    """Distributions over the vocabulary at the masked tokens of a text."""

    def __init__(self) -> None:
        super().__init__("text")

    def feeds(self, setting: Setting) -> tuple[list[Feed], bool]:
        """Return a feed for each text with some tokens masked; without a mask token, all count."""
        feeds, synthetic = text_feeds(setting)
        tokenizer = setting.kit.tokenizer
        mask = getattr(tokenizer, "mask_token_id", None)
        if mask is None:
            return feeds, synthetic
        generator = torch.Generator().manual_seed(setting.seed)
        special = set(tokenizer.all_special_ids)
        return [_mask(feed, mask, special, generator) for feed in feeds], synthetic


def _mask(feed: Feed, mask: int, special: set[int], generator: torch.Generator) -> Feed:
    ids = feed.inputs["input_ids"].clone()
    words = [i for i, token in enumerate(ids[0].tolist()) if token not in special]
    if not words:
        return feed
    order = torch.randperm(len(words), generator=generator)
    count = max(1, round(MASKED * len(words)))
    chosen = torch.tensor(sorted(words[i] for i in order[:count].tolist()))
    ids[0, chosen] = mask
    return Feed(
        name=feed.name,
        output=feed.output,
        inputs={**feed.inputs, "input_ids": ids},
        chosen=chosen,
        prompt=feed.prompt,
    )
