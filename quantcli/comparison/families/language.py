"""Models that generate text: their distributions on a given text, and what they generate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from quantcli.comparison.families.clock import Clock
from quantcli.comparison.families.estimates import Estimates
from quantcli.comparison.families.family import (
    CannotGenerateError,
    Outputs,
    Setting,
    TooShortError,
    ask,
    call,
    logits_of,
)
from quantcli.comparison.families.passages import long_text_feeds
from quantcli.comparison.inputs.feeds import Feed
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.inputs.synthetic import forward_names
from quantcli.comparison.metrics.distributions import Distances, distances, negative_log_likelihood
from quantcli.comparison.metrics.sequences import common_prefix
from quantcli.comparison.results import Generated, Measurement

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_START = 4
"""Tokens at the start of Whisper's decoder: start, language, task, no timestamps."""

GENERATED = 16
"""Maximum number of samples to generate text for: token by token is slow."""


@dataclass
class _Texts:
    """The tokens that both models generated for a prompt."""

    prompt: str
    original: list[int]
    quantized: list[int]


@dataclass
class _Observed:
    """The distances between the logits of every sample, and the generated texts."""

    distances: list[Distances] = field(default_factory=list)
    original: list[npt.NDArray[np.float64]] = field(default_factory=list)
    quantized: list[npt.NDArray[np.float64]] = field(default_factory=list)
    texts: list[_Texts] = field(default_factory=list)

    def add(self, feed: Feed, original: Outputs, quantized: Outputs) -> None:
        x, y, right = original["logits"], quantized["logits"], original["labels"]
        if len(right):
            self.distances.append(distances(x, y))
            self.original.append(negative_log_likelihood(x, right))
            self.quantized.append(negative_log_likelihood(y, right))
        if feed.generate:
            tokens = [side["generated"].tolist() for side in (original, quantized)]
            self.texts.append(_Texts(feed.prompt or feed.name, *tokens))

    def metrics(self, seed: int) -> dict[str, Measurement]:
        found: dict[str, Measurement] = {}
        if self.distances:
            estimates = Estimates(len(self.distances), seed=seed)
            found |= estimates.distances(self.distances)
            found |= estimates.tokens(self.original, self.quantized)
            del found["max_logit_difference"]
        if self.texts:
            estimates = Estimates(len(self.texts), seed=seed)
            same = [float(pair.original == pair.quantized) for pair in self.texts]
            found["generation_match"] = estimates.mean(same)
            prefixes = [common_prefix(pair.original, pair.quantized) for pair in self.texts]
            found["generation_prefix"] = estimates.mean(prefixes)
        return found

    def generated(self, kit: Kit) -> tuple[Generated, ...]:
        return tuple(
            Generated(
                prompt=pair.prompt,
                original=kit.decode(pair.original),
                quantized=kit.decode(pair.quantized),
            )
            for pair in self.texts
        )


class _Language:
    """What models that write text have in common: how their outputs are compared."""

    def __init__(self) -> None:
        self.max_tokens = 0
        self._observed = _Observed()

    def observe(self, feed: Feed, original: Outputs, quantized: Outputs) -> None:
        """Store the distances between the distributions, and the generated tokens."""
        self._observed.add(feed, original, quantized)

    def metrics(self, seed: int) -> dict[str, Measurement]:
        """Return KL, agreement, perplexity and how much of the generated texts is the same."""
        return self._observed.metrics(seed)

    def generated(self, kit: Kit) -> tuple[Generated, ...]:
        """Return both texts of each sample."""
        return self._observed.generated(kit)


class CausalLanguage(_Language):
    """Models that continue a text."""

    def __init__(self) -> None:
        super().__init__()
        self._limit: int | None = None

    def feeds(self, setting: Setting) -> tuple[list[Feed], bool]:
        """Return a feed for each text of two tokens or more; the first ones also generate."""
        self.max_tokens = setting.max_tokens
        self._limit = setting.kit.max_tokens
        feeds, synthetic = long_text_feeds(setting)
        long = [feed for feed in feeds if feed.inputs["input_ids"].shape[1] > 1]
        if not long:
            raise TooShortError("no sample has two tokens, so there is no next token to predict")
        return generating(long) if setting.generate else long, synthetic

    def run(self, model: Any, feed: Feed, clock: Clock, reference: Outputs | None) -> Outputs:
        """Return the logits of each next token, the right tokens, and the generated ones."""
        del reference
        with clock.forward():
            output = call(model, feed.inputs)
        tokens = feed.inputs["input_ids"][0]
        logits = logits_of(model, output)[0, -len(tokens) : -1]
        rows = slice(None) if feed.chosen is None else feed.chosen
        found = {"logits": logits[rows].clone(), "labels": tokens[1:][rows].clone()}
        if feed.generate:
            found["generated"] = self._continue(model, feed.inputs, clock)
        return found

    def _continue(
        self, model: Any, inputs: Mapping[str, torch.Tensor], clock: Clock
    ) -> torch.Tensor:
        prompt = dict(inputs)
        if self._limit is not None:
            room = max(1, self._limit - self.max_tokens)
            prompt = {name: value[:, :room] for name, value in inputs.items()}
        whole = generate(model, prompt, self.max_tokens, clock)
        return whole[prompt["input_ids"].shape[1] :]


class Seq2Seq(_Language):
    """Models that generate a text from another text or a recording.

    Without a target, the right tokens are those that the original generates.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def feeds(self, setting: Setting) -> tuple[list[Feed], bool]:
        """Return a feed for each text or recording, with its target if it has one."""
        self.max_tokens = setting.max_tokens
        if self._kind == "audio":
            return _audio_feeds(setting)
        feeds, synthetic = long_text_feeds(setting)
        targets = {item.name: item.target for item in setting.samples.texts}
        return [_targeted(feed, targets.get(feed.name), setting) for feed in feeds], synthetic

    def run(self, model: Any, feed: Feed, clock: Clock, reference: Outputs | None) -> Outputs:
        """Return the generated tokens, the right ones, and the logits of each right one."""
        found: dict[str, torch.Tensor] = {}
        labels = None if reference is None else reference["labels"]
        if reference is None and feed.labels is not None:
            labels = _without_start(model, feed.labels)
        if feed.generate or labels is None:
            tokens = _without_start(model, generate(model, feed.inputs, self.max_tokens, clock))
            found["generated"] = tokens.clone()
            labels = tokens if labels is None else labels
        found["labels"] = labels.clone()
        if not len(labels):
            return {**found, "logits": torch.empty(0, 1)}
        with clock.forward():
            output = call(model, {**feed.inputs, "labels": labels[None]})
        return {**found, "logits": logits_of(model, output)[0].clone()}


def generate(
    model: Any, inputs: Mapping[str, torch.Tensor], max_tokens: int, clock: Clock
) -> torch.Tensor:
    """Return the greedy continuation, (tokens,), with the prompt where the model repeats it.

    Raises `CannotGenerateError` if the model generates no text, or none from these inputs.
    """
    if not model.can_generate() or (_repeats(model) and "input_ids" not in inputs):
        raise CannotGenerateError(
            f"{type(model).__name__} cannot generate",
            hint="try --task outputs",
        )
    config = model.generation_config
    padding = {} if config.pad_token_id is not None else {"pad_token_id": _first(config)}
    options = {
        "do_sample": False,
        "num_beams": 1,
        "max_new_tokens": _room(model, max_tokens),
        "return_dict_in_generate": False,
        **padding,
    }
    with clock.generation() as counts:
        tokens = ask(model, model.generate, inputs, CannotGenerateError, **options)[0].cpu()
        counts.append(len(tokens) - (inputs["input_ids"].shape[1] if _repeats(model) else 0))
    return torch.as_tensor(tokens)


def _room(model: Any, max_tokens: int) -> int:
    """Return `max_tokens`, or fewer if the decoder's positions limit them."""
    positions = getattr(model.config, "max_target_positions", None)
    return max_tokens if positions is None else max(1, min(max_tokens, positions - _START))


def _first(config: Any) -> int | None:
    found = config.eos_token_id
    first: int | None = found[0] if isinstance(found, list) else found
    return first


def _repeats(model: Any) -> bool:
    return not model.config.is_encoder_decoder


def _without_start(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    start = model.generation_config.decoder_start_token_id
    if start is None:
        start = getattr(model.config, "decoder_start_token_id", None)
    return tokens[1:] if len(tokens) and tokens[0] == start else tokens


def generating(feeds: list[Feed]) -> list[Feed]:
    """Return the feeds with `generate` set on the first ones."""
    return [replace(feed, generate=index < GENERATED) for index, feed in enumerate(feeds)]


def _targeted(feed: Feed, target: str | None, setting: Setting) -> Feed:
    return replace(feed, generate=setting.generate, labels=setting.kit.labels(target))


def _audio_feeds(setting: Setting) -> tuple[list[Feed], bool]:
    kit = setting.kit
    if kit.feature_extractor is None:
        return [
            Feed(
                name=f"synthetic recording {index + 1}",
                output="audio",
                inputs=setting.synthetic.sounds(forward_names(setting.model_class)),
                generate=setting.generate,
                prompt=f"synthetic recording {index + 1}",
            )
            for index in range(setting.count)
        ], True
    return [
        Feed(
            name=item.name,
            output="audio",
            inputs=kit.hear(item.name, item.value),
            labels=kit.labels(item.target),
            generate=setting.generate,
            prompt=item.name,
        )
        for item in setting.samples.audios
    ], False
