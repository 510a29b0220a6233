"""Seeded random inputs, in the shapes that a config gives."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from quantcli.comparison.inputs.processors import feature_extractor, image_processor, part, use
from quantcli.comparison.tasks import AUDIO_INPUTS, IMAGE_INPUTS
from quantcli.errors import ModelError

LENGTHS = (8, 33)
"""Tokens of a random text: from, and up to but not including."""

WAVE = 16000
"""Values of a random waveform: one second."""

PICTURE = (84, 56)
"""Width and height of a random picture for models that take any size."""

FRAMES = 16
"""Frames of random audio codes."""

_OTHER_TOKENS = ("_token_id", "_token_index", "_token_ids")
"""Suffixes of the config keys that hold ids of special tokens."""


class Synthetic:
    """Makes inputs, (1, ...) each; the same seed gives the same inputs."""

    def __init__(self, config: Mapping[str, Any], *, seed: int) -> None:
        self._config = config
        self._text = part(config, "text_config", "text_encoder", "decoder")
        self._vision = part(config, "vision_config", "encoder")
        self._audio = part(config, "audio_config", "audio_encoder")
        self._generator = torch.Generator().manual_seed(seed)

    @property
    def has_text(self) -> bool:
        """Whether the config gives the size of the vocabulary."""
        return "vocab_size" in self._text

    def tokens(self, limit: int | None = None) -> torch.Tensor:
        """Return token ids that are not special. Raises `ModelError` without a vocabulary."""
        if not self.has_text:
            raise ModelError(
                "no tokenizer was found, and its config has no vocab_size to make tokens from",
                hint="try --task outputs",
            )
        low, high = LENGTHS
        positions = self._text.get("max_position_embeddings") or self._text.get("n_positions")
        longest = min(value for value in (limit, positions, high - 1) if value)
        length = int(self._random(min(low, longest), longest + 1, (1,)))
        special = _special(self._config) | _special(self._text)
        ids = self._random(0, int(self._text["vocab_size"]), (1, 4 * length))
        plain = [token for token in ids[0].tolist() if token not in special]
        return torch.tensor([plain[:length]])

    def image(self) -> torch.Tensor:
        """Return pixel values like a processor's: mean 0, standard deviation 1."""
        size = self._vision.get("image_size") or self._config.get("image_size") or 224
        if isinstance(size, Mapping):
            size = (size["height"], size["width"])
        height, width = size if isinstance(size, list | tuple) else (size, size)
        channels = self._vision.get("num_channels") or self._config.get("num_channels") or 3
        return self._normal(1, int(channels), int(height), int(width))

    def features(self) -> torch.Tensor:
        """Return audio features, with the bins and frames of a config like Whisper's."""
        width = self._config.get("feature_projection_input_dim")
        if width is not None:  # Wav2Vec2-BERT, whose frames come first
            return self._normal(1, FRAMES, int(width))
        bins = self._audio.get("num_mel_bins") or self._config.get("num_mel_bins") or 80
        positions = self._audio.get("max_source_positions")
        return self._normal(1, int(bins), 2 * int(positions or 1500))

    def wave(self) -> torch.Tensor:
        """Return a waveform."""
        return self._normal(1, WAVE)

    def pictures(self, names: frozenset[str]) -> dict[str, torch.Tensor]:
        """Return those of the named inputs that hold a picture; empty if none do."""
        main = next((name for name in IMAGE_INPUTS if name in names), None)
        if main is None:
            return {}
        found = self._processed(names)
        if main not in found:
            found = {"pixel_values": self.image()} if main == "pixel_values" else {}
        frames = self._config.get("num_frames")
        if frames and found and found[main].dim() == 5:  # a video: repeat the frame
            found[main] = found[main].expand(-1, int(frames), -1, -1, -1).contiguous()
        return found

    def sounds(self, names: frozenset[str]) -> dict[str, torch.Tensor]:
        """Return those of the named inputs that hold a recording; empty if none do."""
        main = next((name for name in AUDIO_INPUTS if name in names), None)
        if main is None:
            return {}
        if main == "input_features" and {"max_source_positions", "num_mel_bins"} <= {*self._audio}:
            features = self.features()
            mask = torch.ones(1, features.shape[-1], dtype=torch.long)
            return _named({main: features, "feature_attention_mask": mask}, names)
        found = _named(self._extracted(), names)
        if main not in found:
            found = {main: self.features() if main == "input_features" else self.wave()}
        return found

    def codes(self) -> torch.Tensor:
        """Return audio codes, (codebooks, frames), or tokens if the decoder generates text."""
        books = self._decoder.get("num_codebooks")
        if books is None:
            return self.tokens()
        return self._random(0, int(self._decoder["vocab_size"]), (int(books), FRAMES))

    def inputs(self, model_class: Any) -> dict[str, torch.Tensor]:
        """Return all inputs that a class takes: text, picture, recording."""
        names = forward_names(model_class)
        made = {**self.pictures(names), **self.sounds(names)}
        if "input_ids" in names and self.has_text:
            made["input_ids"] = self.tokens()
        if "decoder_input_ids" in names and self.has_text:
            made["decoder_input_ids"] = self.codes()
        if "decoder_input_values" in names:
            made["decoder_input_values"] = self.features().transpose(1, 2)[:, :FRAMES]
        if "speaker_embeddings" in names:
            made["speaker_embeddings"] = self._normal(1, self._config["speaker_embedding_dim"])
        return made

    def main_input(self, model_class: Any) -> dict[str, torch.Tensor]:
        """Return the main input of a class, and its decoder's."""
        main = model_class.main_input_name
        made = self.inputs(model_class)
        return {name: value for name, value in made.items() if name in (main, "decoder_input_ids")}

    @property
    def _decoder(self) -> Mapping[str, Any]:
        return part(self._config, "decoder")

    def _processed(self, names: frozenset[str]) -> dict[str, torch.Tensor]:
        """Return what the image processor of the model's type makes of noise."""
        from PIL import Image

        processor = image_processor(self._config, names)
        noise = self._random(0, 256, (PICTURE[1], PICTURE[0], 3)).to(torch.uint8)
        if processor is None:
            return {}
        found = use(processor, images=Image.fromarray(noise.numpy()), return_tensors="pt")
        if found is None:
            return {}
        # the mask of the patches has the name of the tokens' mask: drop it if there are tokens
        return _named(dict(found), names - {"attention_mask"} if "input_ids" in names else names)

    def _extracted(self) -> dict[str, Any]:
        """Return what the feature extractor of the model's type makes of noise."""
        extractor = feature_extractor(self._config)
        if extractor is None:
            return {}
        rate = getattr(extractor, "sampling_rate", WAVE)
        wave = self._normal(rate).numpy()
        return dict(use(extractor, wave, sampling_rate=rate, return_tensors="pt") or {})

    def _random(self, low: int, high: int, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=self._generator)

    def _normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self._generator)


def forward_names(model_class: Any) -> frozenset[str]:
    """Return the names of the parameters of a class's forward pass."""
    return frozenset(inspect.signature(model_class.forward).parameters)


def _named(found: Mapping[str, Any], names: frozenset[str]) -> dict[str, torch.Tensor]:
    return {
        name: value
        for name, value in found.items()
        if name in names and isinstance(value, torch.Tensor)
    }


def _special(config: Mapping[str, Any]) -> set[int]:
    found: set[int] = set()
    for name, value in config.items():
        if name.endswith(_OTHER_TOKENS):
            values = value if isinstance(value, list | tuple) else [value]
            found.update(token for token in values if isinstance(token, int))
    return found
