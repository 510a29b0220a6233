"""From hidden states to one vector per sample, as sentence-transformers does it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from quantcli.checkpoint.jsonfile import read_object
from quantcli.errors import ModelError
from quantcli.files import read_json
from quantcli.text import first_line

_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The switches of older pooling configs, and the names of these modes in newer ones."""

_HARMLESS = ("Transformer", "Pooling", "Normalize", "Dropout")
"""Modules that need not run: pooling is done here, and a cosine does not change with the norm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling:
    """How hidden states become an embedding: the vectors of all modes, concatenated."""

    modes: tuple[str, ...] = ("mean",)
    left_out: tuple[str, ...] = ()
    """Modules after pooling, which are not run."""

    @classmethod
    def of(cls, folder: Path) -> Pooling:
        """Read a folder's pooling config. Without one, the mean over tokens."""
        kinds = _kinds(folder / "modules.json")
        left_out = tuple(kind for kind in kinds.values() if kind not in _HARMLESS)
        for path, kind in kinds.items():
            if kind == "Pooling":
                modes = _modes(read_object(folder / path / "config.json"))
                return cls(modes=modes or ("mean",), left_out=left_out)
        return cls(left_out=left_out)

    def __call__(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Pool (1, tokens, width) where mask (1, tokens) is 1; returns (modes * width,)."""
        states = hidden[0][mask[0].bool()].float()
        return torch.cat([_pool(mode, states) for mode in self.modes])


def _modes(config: dict[str, Any]) -> tuple[str, ...]:
    named = config.get("pooling_mode")
    if isinstance(named, str):
        return (named,)
    if isinstance(named, list):
        return tuple(named)
    return tuple(mode for switch, mode in _MODES.items() if config.get(switch))


def _pool(mode: str, states: torch.Tensor) -> torch.Tensor:
    if mode == "cls":
        return states[0]
    if mode == "lasttoken":
        return states[-1]
    if mode == "max":
        return states.amax(dim=0)
    if mode == "mean":
        return states.mean(dim=0)
    if mode == "mean_sqrt_len_tokens":
        return torch.as_tensor(states.sum(dim=0) / len(states) ** 0.5)
    if mode == "weightedmean":
        weights = torch.arange(1, len(states) + 1, dtype=states.dtype)[:, None]
        return torch.as_tensor((states * weights).sum(dim=0) / weights.sum())
    raise ModelError(f"unknown pooling mode: {mode}")


def _kinds(path: Path) -> dict[str, str]:
    """Map the folder of each module of sentence-transformers to its kind."""
    if not path.is_file():
        return {}
    try:
        modules = read_json(path)
    except ValueError as error:
        raise ModelError(f"{path} {error}") from error
    try:
        return {str(part["path"]): str(part["type"]).rpartition(".")[2] for part in modules}
    except (TypeError, KeyError) as error:
        raise ModelError(f"{path} is damaged: {first_line(error)}") from error
