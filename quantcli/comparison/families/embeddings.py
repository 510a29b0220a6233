"""Models that turn a text or an image into a vector."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from quantcli.comparison.families.clock import Clock
from quantcli.comparison.families.estimates import Estimates
from quantcli.comparison.families.family import Outputs, Setting, UnsuitedError, ask, call
from quantcli.comparison.families.pooling import Pooling
from quantcli.comparison.inputs.feeds import Feed
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.metrics.vectors import cosine
from quantcli.comparison.results import Generated, Measurement

Array = npt.NDArray[np.float64]


class Embedding:
    """One vector per sample: of a text, of an image, or (CLIP) of both in the same space."""

    def __init__(self, *outputs: str) -> None:
        self._outputs = outputs
        self.pooling = Pooling()
        self._original: dict[str, list[Array]] = defaultdict(list)
        self._quantized: dict[str, list[Array]] = defaultdict(list)

    def feeds(self, setting: Setting) -> tuple[list[Feed], bool]:
        """Return a feed for each text and image, random ones if the model cannot prepare them."""
        self.pooling = Pooling.of(setting.kit.folder)
        makers = {"text": text_feeds, "image": image_feeds}
        found: list[Feed] = []
        synthetic = False
        for output in self._outputs:
            feeds, is_synthetic = makers[output](setting)
            found += feeds
            synthetic |= is_synthetic
        return found, synthetic

    def run(self, model: Any, feed: Feed, clock: Clock, reference: Outputs | None) -> Outputs:
        """Return the embedding, (width,), in float32."""
        del reference
        with clock.forward():
            vector = self._embed(model, feed)
        return {feed.output: vector.float().cpu()}

    def observe(self, feed: Feed, original: Outputs, quantized: Outputs) -> None:
        """Store both embeddings."""
        self._original[feed.output].append(original[feed.output].double().numpy())
        self._quantized[feed.output].append(quantized[feed.output].double().numpy())

    def metrics(self, seed: int) -> dict[str, Measurement]:
        """Return cosines, rank correlations, and how often both models match the same text."""
        found: dict[str, Measurement] = {}
        for output, originals in self._original.items():
            x, y = np.stack(originals), np.stack(self._quantized[output])
            estimates = Estimates(len(x), seed=seed)
            found |= estimates.cosines(output, [cosine(a, b) for a, b in zip(x, y, strict=True)])
            found |= estimates.spearman(output, x, y)
        if set(self._original) >= {"text", "image"}:
            chosen = [_best_text(side) for side in (self._original, self._quantized)]
            same = (chosen[0] == chosen[1]).astype(np.float64)
            found["top1_agreement"] = Estimates(len(same), seed=seed).mean(list(same))
        return found

    def generated(self, kit: Kit) -> tuple[Generated, ...]:
        """Return nothing: the models generate no text."""
        del kit
        return ()

    def _embed(self, model: Any, feed: Feed) -> torch.Tensor:
        if len(self._outputs) > 1:
            return _tower(model, feed)
        output = call(model, feed.inputs)
        projected = getattr(output, f"{feed.output}_embeds", None)
        if projected is not None:
            return torch.as_tensor(projected[0])
        hidden = getattr(output, "last_hidden_state", None)
        if hidden is None:
            raise UnsuitedError(
                f"{type(model).__name__} returns no embedding",
                hint="try --task outputs",
            )
        if feed.output == "image":
            return _pool_image(output, hidden)
        mask = feed.inputs.get("attention_mask")
        return self.pooling(hidden.cpu(), torch.ones(hidden.shape[:2]) if mask is None else mask)


def text_feeds(setting: Setting) -> tuple[list[Feed], bool]:
    """Return a feed for each text, or random ones without a tokenizer."""
    if setting.kit.tokenizer is None:
        return [
            Feed(
                name=f"synthetic text {index + 1}",
                output="text",
                inputs={"input_ids": setting.synthetic.tokens(setting.kit.max_tokens)},
            )
            for index in range(setting.count)
        ], True
    return [
        Feed(
            name=item.name,
            output="text",
            inputs=setting.kit.tokenize(item.name, item.value),
            prompt=item.value,
        )
        for item in setting.samples.texts
    ], False


def image_feeds(setting: Setting) -> tuple[list[Feed], bool]:
    """Return a feed for each image, or random ones without an image processor."""
    if setting.kit.image_processor is None:
        return [
            Feed(
                name=f"synthetic image {index + 1}",
                output="image",
                inputs={"pixel_values": setting.synthetic.image()},
            )
            for index in range(setting.count)
        ], True
    return [
        Feed(name=item.name, output="image", inputs=setting.kit.see(item.value))
        for item in setting.samples.images
    ], False


def _tower(model: Any, feed: Feed) -> torch.Tensor:
    """Run one tower of a CLIP-like model. Returns its projected features, (width,)."""
    method = getattr(model, f"get_{feed.output}_features", None)
    if method is None:
        raise UnsuitedError(
            f"{type(model).__name__} has no get_{feed.output}_features",
            hint="try --task outputs",
        )
    known = {name: value for name, value in feed.inputs.items() if name != "token_type_ids"}
    found = ask(model, method, known)
    return torch.as_tensor(getattr(found, "pooler_output", found)[0])


def _pool_image(output: Any, hidden: torch.Tensor) -> torch.Tensor:
    pooled = getattr(output, "pooler_output", None)
    if pooled is not None:
        return torch.as_tensor(pooled[0]).flatten()
    if hidden.dim() == 3:
        return hidden[0].float().mean(dim=0)  # (patches, width)
    return hidden[0].float().flatten(1).mean(dim=1)  # (channels, height, width)


def _best_text(side: dict[str, list[Array]]) -> npt.NDArray[np.int64]:
    """Return the index of the nearest text by cosine, for each image."""
    texts, images = (np.stack(side[output]) for output in ("text", "image"))
    texts = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    return np.asarray((images @ texts.T).argmax(axis=1))
