"""Inputs for any model, by the names that its forward pass takes and the sizes in its config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from quantcli.comparison.inputs.synthetic import FRAMES, Synthetic, forward_names
from quantcli.errors import ModelError

Inputs = dict[str, Any]

GRID = (1, 4, 4)
"""Frames, rows and columns of the patches of a picture."""

LENGTH = 12
"""Tokens, boxes or steps where nothing else gives a number."""

WAVE = 15360
"""Values of a recording: a multiple of what most codecs take at once."""

FEATURES = ("input_features", "audio_mel")
"""Names of audio features, (1, bins, frames) or (1, frames, bins)."""


class Maker:
    """Makes inputs of a model; the same seed gives the same inputs."""

    def __init__(self, model: Any, seed: int) -> None:
        self._model = model
        self._config = model.config.to_dict()
        self._names = forward_names(type(model))
        self._seed = seed

    def candidates(self) -> Iterator[Inputs]:
        """Yield inputs to try, in this order: as `compare` makes them, then more, then fewer."""
        full = self._synthetic()
        yield full
        extra = self._extra(full)
        yield {**full, **extra}
        yield {name: value for name, value in full.items() if not name.startswith("decoder_")}
        for features in self._features():
            yield {**full, **extra, **features}
        for picture in self._pictures():
            yield {**full, **extra, **picture}
        yield from self._waves(full)
        for tokens in self._books():
            yield {**full, **extra, **tokens}
        yield extra
        main = self._model.main_input_name
        yield {name: full[name] for name in (main, "decoder_input_ids") if name in full}

    def _synthetic(self) -> Inputs:
        try:
            return dict(Synthetic(self._config, seed=self._seed).inputs(type(self._model)))
        except ModelError:
            return {}

    def _extra(self, full: Inputs) -> Inputs:
        """Return the inputs that only some models have, and that `compare` does not make."""
        ids = full.get("input_ids")
        length = LENGTH if ids is None else ids.shape[-1]
        made = {}
        for name in sorted(self._names - full.keys()):
            make = _MAKERS.get(name)
            if make is not None:
                value = make(self, length)
                if value is not None:
                    made[name] = value
        return made

    def _features(self) -> Iterator[Inputs]:
        """Yield audio features in both layouts, for every number of bins in the config."""
        import torch

        bins = [value for key, value in _entries(self._config) if _is_bins(key, value)]
        name = next((name for name in FEATURES if name in self._names), None)
        for count in dict.fromkeys(bins) if name else ():
            for shape in ((1, count, 64), (1, 64, count)):
                mask = torch.ones(1, 64, dtype=torch.long)
                for kind in (mask, mask.bool()):
                    masks = dict.fromkeys(sorted(self._names & _MASKS), kind)
                    yield {str(name): self.normal(*shape), **masks}

    def _pictures(self) -> Iterator[Inputs]:
        """Yield pictures of the size that any part of the config gives, videos, and patches."""
        side = self.size("image_size", "img_size", default=64)
        channels = self.size("num_channels", "in_channels", "in_chans", default=3)
        frames = self.size("num_frames", default=2)
        for name in sorted(self._names & {"pixel_values", "pixel_values_videos"}):
            yield {name: self.normal(1, channels, side, side)}
            for count in dict.fromkeys((frames, 2)):
                yield {name: self.normal(1, count, channels, side, side)}
            yield {name: self._patches(), **self._grids()}
            yield {name: self._patches()[None], **self._grids()}

    def _books(self) -> Iterator[Inputs]:
        """Yield tokens of several codebooks: (1, steps, codebooks)."""
        import torch

        for key in ("num_codebooks", "num_channels"):
            books = self.size(key, default=0)
            for name in sorted(self._names & {"input_ids", "decoder_input_ids"}) if books else ():
                for count in (books, books + 1):
                    yield {name: torch.randint(3, 60, (1, LENGTH, count), generator=self._seeded())}

    def _waves(self, full: Inputs) -> Iterator[Inputs]:
        if "input_values" in self._names:
            yield {**full, "input_values": self.normal(1, WAVE)}
            yield {**full, "input_values": self.normal(1, 1, WAVE)}
            yield {"input_values": self.normal(1, 64, 128)}

    def _grids(self) -> Inputs:
        import torch

        names = sorted(self._names & {"grid_thw", "image_grid_thw"})
        return dict.fromkeys(names, torch.tensor([GRID]))

    def _patches(self) -> Any:
        """Return flat patches as the processors of Qwen's models make them: (patches, values)."""
        patch = self.size("patch_size", default=14)
        frames = self.size("temporal_patch_size", default=1)
        channels = self.size("in_channels", "num_channels", "in_chans", default=3)
        return self.normal(GRID[0] * GRID[1] * GRID[2], channels * frames * patch * patch)

    def size(self, *keys: str, default: int) -> int:
        """Return the first of these sizes that the config has, here or in a part."""
        for wanted in keys:
            for key, value in _entries(self._config):
                if key == wanted and isinstance(value, int) and value:
                    return value
        return default

    def _seeded(self) -> Any:
        import torch

        return torch.Generator().manual_seed(self._seed)

    def normal(self, *shape: int) -> Any:
        """Return normal values."""
        import torch

        return torch.randn(*shape, generator=self._seeded())

    def whole(self, high: int, *shape: int) -> Any:
        """Return whole numbers from 3, and up to but not including `high`."""
        import torch

        return torch.randint(3, max(high, 4), shape, generator=self._seeded())

    def grid(self) -> Any:
        import torch

        return torch.tensor([GRID])

    def zeros(self, *shape: int) -> Any:
        import torch

        return torch.zeros(shape, dtype=torch.long)

    def patch_mask(self) -> Any:
        """Return the mask of the patches of a grid, where they are given flat."""
        return self.zeros(1, GRID[1] * GRID[2]) + 1 if "spatial_shapes" in self._names else None

    def patch_places(self) -> Any:
        """Return the column and the row of each patch of a grid."""
        import torch

        rows, columns = torch.meshgrid(*map(torch.arange, GRID[1:]), indexing="ij")
        return torch.stack([columns.flatten(), rows.flatten()], dim=-1)[None]

    def vision_states(self) -> Any:
        """Return patches, for a vision tower that takes them with the grid they lie on."""
        return self._patches() if self._names & {"grid_thw"} else None

    def embeddings(self, length: int) -> Any:
        """Return embeddings, for a model that takes no tokens."""
        width = self.size("hidden_size", "d_model", default=64)
        return None if "input_ids" in self._names else self.normal(1, length, width)

    def boxes(self, length: int) -> Any:
        """Return boxes as LayoutLM's models take them: left, top, right, bottom."""
        import torch

        return torch.tensor([[[1, 2, 9, 12]] * length])


def _entries(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _entries(value)
        else:
            yield str(key), value


def _is_bins(key: str, value: Any) -> bool:
    names = ("num_mel_bins", "feature_projection_input_dim", "input_feat_size", "n_mel_bins")
    return isinstance(value, int) and key in (*names, "input_dim", "input_channels", "feature_size")


_MASKS = {"attention_mask", "input_features_mask", "feature_attention_mask", "audio_mel_mask"}

_MAKERS: dict[str, Callable[[Maker, int], Any]] = {
    "bbox": lambda made, length: made.boxes(length),
    "grid_thw": lambda made, _: made.grid(),
    "hidden_states": lambda made, _: made.vision_states(),
    "input_ids": lambda made, length: made.whole(100, 1, length),
    "decoder_input_ids": lambda made, length: made.whole(100, 1, length),
    "inputs_embeds": lambda made, length: made.embeddings(length),
    "visual_feats": lambda made, _: made.normal(1, 8, made.size("visual_feat_dim", default=64)),
    "visual_pos": lambda made, _: made.normal(1, 8, made.size("visual_pos_dim", default=4)),
    "past_values": lambda made, _: made.normal(
        1, made.size("context_length", default=32), made.size("num_input_channels", default=1)
    ),
    "inputs": lambda made, length: made.normal(1, length, made.size("d_model", default=64)),
    "latents": lambda made, length: made.normal(1, made.size("hidden_size", default=64), length),
    "states": lambda made, length: made.normal(1, length, made.size("state_dim", default=4)),
    "actions": lambda made, length: made.normal(1, length, made.size("act_dim", default=4)),
    "rewards": lambda made, length: made.normal(1, length, 1),
    "returns_to_go": lambda made, length: made.normal(1, length, 1),
    "timesteps": lambda made, length: made.whole(64, 1, length),
    "task_inputs": lambda made, _: made.whole(100, 1, made.size("task_seq_len", default=77)),
    "state": lambda made, _: made.normal(1, made.size("max_state_dim", default=32)),
    "noise": lambda made, _: made.normal(
        1, made.size("chunk_size", default=8), made.size("max_action_dim", default=32)
    ),
    "pixel_attention_mask": lambda made, _: made.patch_mask(),
    "pixel_position_ids": lambda made, _: made.patch_places(),
    "spatial_shapes": lambda made, _: made.grid()[:, 1:],
    "merge_sizes": lambda made, _: made.grid()[:, 0],
    "past_values_padding": lambda made, _: made.zeros(1, made.size("context_length", default=32)),
    "freq": lambda made, _: made.zeros(1, 1),
    "timestep": lambda made, _: made.normal(1).abs(),
    "audio_codes": lambda made, _: made.whole(
        64, 1, made.size("num_quantizers", default=8), FRAMES
    ),
}
"""How the inputs that only some models have are made, by name."""
