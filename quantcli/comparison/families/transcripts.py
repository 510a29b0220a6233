"""Models that transcribe a recording frame by frame (CTC)."""

from __future__ import annotations

from typing import Any

import torch

from quantcli.comparison.families.clock import Clock
from quantcli.comparison.families.estimates import Estimates
from quantcli.comparison.families.family import Outputs, Setting, UnsuitedError, call, logits_of
from quantcli.comparison.inputs.feeds import Feed
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.inputs.synthetic import forward_names
from quantcli.comparison.metrics.distributions import Distances, distances
from quantcli.comparison.metrics.sequences import common_prefix
from quantcli.comparison.results import Generated, Measurement
from quantcli.comparison.tasks import AUDIO_INPUTS


class Transcripts:
    """Distributions over characters, one per frame, and the texts of the most likely ones."""

    def __init__(self) -> None:
        self._blank = 0
        self._distances: list[Distances] = []
        self._frames: list[tuple[str, list[int], list[int]]] = []

    def feeds(self, setting: Setting) -> tuple[list[Feed], bool]:
        """Return a feed for each recording, or random ones without a feature extractor."""
        self._blank = setting.kit.config.get("pad_token_id") or 0
        kit, made = setting.kit, setting.synthetic
        if kit.feature_extractor is not None:
            items = setting.samples.audios
            return [_feed(item.name, kit.hear(item.name, item.value)) for item in items], False
        names = forward_names(setting.model_class)
        if not names.intersection(AUDIO_INPUTS):
            raise UnsuitedError(
                f"{setting.model_class.__name__} takes no audio", hint="try another --task"
            )
        return [
            _feed(f"synthetic recording {index + 1}", made.sounds(names))
            for index in range(setting.count)
        ], True

    def run(self, model: Any, feed: Feed, clock: Clock, reference: Outputs | None) -> Outputs:
        """Return the logits, (frames, characters)."""
        del reference
        with clock.forward():
            output = call(model, feed.inputs)
        return {"logits": logits_of(model, output)[0].clone()}

    def observe(self, feed: Feed, original: Outputs, quantized: Outputs) -> None:
        """Store the distances between the distributions, and each frame's top character."""
        x, y = original["logits"], quantized["logits"]
        self._distances.append(distances(x, y))
        top = [side.argmax(dim=-1).tolist() for side in (x, y)]
        self._frames.append((feed.name, top[0], top[1]))

    def metrics(self, seed: int) -> dict[str, Measurement]:
        """Return KL, agreement of frames, and how much of the texts is the same."""
        estimates = Estimates(len(self._frames), seed=seed)
        found = estimates.distances(self._distances)
        del found["max_logit_difference"]
        texts = [[self._collapse(side) for side in sides] for _, *sides in self._frames]
        found["generation_match"] = estimates.mean([float(x == y) for x, y in texts])
        found["generation_prefix"] = estimates.mean([common_prefix(x, y) for x, y in texts])
        return found

    def generated(self, kit: Kit) -> tuple[Generated, ...]:
        """Return both texts of each recording."""
        return tuple(
            Generated(prompt=name, original=self._text(kit, x), quantized=self._text(kit, y))
            for name, x, y in self._frames
        )

    def _collapse(self, frames: list[int]) -> list[int]:
        """Return the characters of frames: repeats count once, unless a blank separates them."""
        runs = torch.tensor(frames).unique_consecutive().tolist()
        return [token for token in runs if token != self._blank]

    def _text(self, kit: Kit, frames: list[int]) -> str:
        # a CTC tokenizer collapses repeats itself, and would merge double letters here
        return kit.decode(self._collapse(frames) if kit.tokenizer is None else frames)


def _feed(name: str, inputs: dict[str, torch.Tensor]) -> Feed:
    return Feed(name=name, output="audio", inputs=inputs, prompt=name)
