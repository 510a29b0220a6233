"""Seeded random inputs, from what a config says of the shapes that its model takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from quantcli.errors import ModelError

LENGTHS = (8, 33)
"""Tokens of a synthetic text: from, and up to but not including."""

WAVE = 16000
"""Values of a synthetic waveform: a second of it."""

_SPECIAL = ("pad", "bos", "eos", "decoder_start", "unk", "mask", "sep", "cls")


class Synthetic:
    """Makes inputs, (1, ...) each; the same seed makes the same ones."""

    def __init__(self, config: Mapping[str, Any], *, seed: int) -> None:
        self._config = config
        self._text = _part(config, "text_config", "text_encoder", "decoder")
        self._vision = _part(config, "vision_config")
        self._audio = _part(config, "audio_config")
        self._generator = torch.Generator().manual_seed(seed)

    @property
    def has_text(self) -> bool:
        """Tell whether the config says how many tokens there are."""
        return "vocab_size" in self._text

    def tokens(self, limit: int | None = None) -> torch.Tensor:
        """Return token ids that are not special. Raises `ModelError` where there are no tokens."""
        if not self.has_text:
            raise ModelError(
                "its config does not say how many tokens it knows, so it cannot be fed a text",
                hint="compare it as something else with --task",
            )
        low, high = LENGTHS
        positions = self._text.get("max_position_embeddings") or self._text.get("n_positions")
        most = min(value for value in (limit, positions, high - 1) if value)
        length = int(self._random(min(low, most), most + 1, (1,)))
        special = {self._text.get(f"{name}_token_id") for name in _SPECIAL}
        ids = self._random(0, int(self._text["vocab_size"]), (1, 4 * length))
        plain = [token for token in ids[0].tolist() if token not in special]
        return torch.tensor([plain[:length]])

    def image(self) -> torch.Tensor:
        """Return pixel values as a processor would: about zero, with a spread of one."""
        size = self._vision.get("image_size") or self._config.get("image_size") or 224
        if isinstance(size, Mapping):
            size = (size["height"], size["width"])
        height, width = size if isinstance(size, list | tuple) else (size, size)
        channels = self._vision.get("num_channels") or self._config.get("num_channels") or 3
        return self._normal(1, int(channels), int(height), int(width))

    def features(self) -> torch.Tensor:
        """Return the features of audio: as many bins and frames as Whisper's config says."""
        bins = self._audio.get("num_mel_bins") or self._config.get("num_mel_bins") or 80
        frames = 2 * (self._config.get("max_source_positions") or 1500)
        return self._normal(1, int(bins), int(frames))

    def wave(self) -> torch.Tensor:
        """Return a waveform."""
        return self._normal(1, WAVE)

    def inputs(self, model_class: Any) -> dict[str, torch.Tensor] | None:
        """Return inputs for a class of any kind, or None where its main input is not known."""
        main = model_class.main_input_name
        made: dict[str, torch.Tensor] = {}
        if main == "input_ids" and self.has_text:
            made["input_ids"] = self.tokens()
            if "vision_config" in self._config and not model_class.can_generate():
                made["pixel_values"] = self.image()  # two towers, and not a text with pictures
        elif main == "pixel_values":
            made["pixel_values"] = self.image()
            if "text_config" in self._config and self.has_text:
                made["input_ids"] = self.tokens()
        elif main == "input_features":
            made["input_features"] = self.features()
        elif main == "input_values":
            made["input_values"] = self.wave()
        else:
            return None
        if self._config.get("is_encoder_decoder") and self.has_text:
            made["decoder_input_ids"] = self.tokens()
        return made

    def _random(self, low: int, high: int, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=self._generator)

    def _normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self._generator)


def _part(config: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    found = (config.get(name) for name in names)
    return next((part for part in found if isinstance(part, dict)), config)
