"""The tokens of a text that stand for an image or a recording, one per feature."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from quantcli.comparison.families.family import ask, fit
from quantcli.comparison.tasks import AUDIO_INPUTS, IMAGE_INPUTS

Inputs = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """How a model takes an image or a recording.

    `inputs` are its parameters in a forward pass, `features` is the method that embeds it. The
    others are the keys of a config that hold the ids of its token and of the tokens around it.
    """

    inputs: tuple[str, ...]
    features: str
    token: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


_TEXT = ("input_ids", "attention_mask", "decoder_input_ids")
"""The inputs that are not part of an image or a recording."""

MEDIA = {
    "image": Medium(
        inputs=IMAGE_INPUTS,
        features="get_image_features",
        token=("image_token_id", "image_token_index"),
        before=("vision_start_token_id", "image_start_token_id", "boi_token_id", "boi_token_index"),
        after=("vision_end_token_id", "image_end_token_id", "eoi_token_id", "eoi_token_index"),
    ),
    "audio": Medium(
        inputs=AUDIO_INPUTS,
        features="get_audio_features",
        token=("audio_token_id", "audio_token_index"),
        before=("audio_start_token_id", "boa_token_id", "boa_token_index"),
        after=("audio_end_token_id", "eoa_token_id", "eoa_token_index"),
    ),
}


@dataclass
class Placeholders:
    """Inserts the tokens for images and recordings into texts that have none.

    Counts the features that the model computes, and caches the count by the inputs' shapes.
    """

    counts: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def fill(self, model: Any, inputs: Inputs) -> dict[str, torch.Tensor]:
        """Return inputs whose text has a token for each feature of its image or recording."""
        found = dict(inputs)
        if "input_ids" not in found:
            return found
        if "qformer_input_ids" in inspect.signature(model.forward).parameters:
            found.setdefault("qformer_input_ids", found["input_ids"])
        for medium in MEDIA.values():
            if any(name in found for name in medium.inputs):
                found = self._fill(model, found, medium)
        return found

    def _fill(self, model: Any, inputs: Inputs, medium: Medium) -> dict[str, torch.Tensor]:
        token = token_id(model.config, medium.token)
        if token is None:
            return _reserve(model, inputs)
        ids = inputs["input_ids"]
        if not bool((ids == token).any()):
            count = self._count(model, inputs, medium)
            ids = _insert(ids, _around(model.config, medium, [token] * count), model.config)
        return _with_ids(model, inputs, ids, (ids == token).long())

    def _count(self, model: Any, inputs: Inputs, medium: Medium) -> int:
        method = _method(model, medium.features)
        if method is None:
            return 1  # a model without that method repeats the token itself (Qwen2-Audio)
        media = {name: value for name, value in inputs.items() if name not in _TEXT}
        key = tuple((name, _shape(value)) for name, value in sorted(media.items()))
        if key not in self.counts:
            width = model.get_input_embeddings().weight.shape[-1]
            self.counts[key] = _size(_features(model, method, inputs)) // int(width)
        return self.counts[key]


def token_id(config: Any, names: tuple[str, ...]) -> int | None:
    """Return the token id under the first of these keys that a config has, or None."""
    found = (getattr(config, name, None) for name in names)
    return next((token for token in found if isinstance(token, int)), None)


def _reserve(model: Any, inputs: Inputs) -> dict[str, torch.Tensor]:
    """Insert placeholders for an image, and the mask of their positions (Kosmos)."""
    count = getattr(model.config, "latent_query_num", None)
    if count is None or "image_embeds_position_mask" in inputs:
        return dict(inputs)
    ids = _insert(inputs["input_ids"], [0] * count, model.config)
    mask = torch.zeros_like(ids)
    start = ids.shape[1] - inputs["input_ids"].shape[1] - count
    start += _starts(inputs["input_ids"], model.config)
    mask[:, start : start + count] = 1
    return {**_with_ids(model, inputs, ids, mask), "image_embeds_position_mask": mask}


def _insert(ids: torch.Tensor, tokens: list[int], config: Any) -> torch.Tensor:
    """Insert tokens at the start of a text, after its BOS token."""
    start = _starts(ids, config)
    return torch.cat([ids[:, :start], torch.tensor([tokens]), ids[:, start:]], dim=1)


def _starts(ids: torch.Tensor, config: Any) -> int:
    first = getattr(config.get_text_config(), "bos_token_id", None)
    return int(first is not None and int(ids[0, 0]) == first)


def _around(config: Any, medium: Medium, tokens: list[int]) -> list[int]:
    before, after = token_id(config, medium.before), token_id(config, medium.after)
    return tokens if before is None or after is None else [before, *tokens, after]


def _with_ids(
    model: Any, inputs: Inputs, ids: torch.Tensor, kinds: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return inputs with another text, and with masks and token types of its length."""
    found = {name: value for name, value in inputs.items() if name != "token_type_ids"}
    found |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if "mm_token_type_ids" in inspect.signature(model.forward).parameters:
        found["mm_token_type_ids"] = kinds
    return found


def _method(model: Any, name: str) -> Any:
    found = getattr(model, name, None)
    return found if found is not None else getattr(model.base_model, name, None)


def _features(model: Any, method: Any, inputs: Inputs) -> Any:
    known = inspect.signature(method).parameters
    open_ended = any(entry.kind is entry.VAR_KEYWORD for entry in known.values())
    given = {
        name: value
        for name, value in fit(model, inputs).items()
        if name not in _TEXT and (name in known or open_ended)
    }
    return ask(model, method, given)


def _size(features: Any) -> int:
    """Count the values of features: a tensor, a list of tensors, or an output with either."""
    found = getattr(features, "pooler_output", features)
    if found is None:
        found = features[0]
    tensors = [found] if isinstance(found, torch.Tensor) else found
    return sum(tensor.numel() for tensor in tensors)


def _shape(value: torch.Tensor) -> tuple[Any, ...]:
    numbers = () if value.is_floating_point() else value.numpy().tobytes()
    return (tuple(value.shape), numbers)
