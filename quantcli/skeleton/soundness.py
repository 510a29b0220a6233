"""Checks of config.json, made before transformers reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError
from quantcli.text import shorten

if TYPE_CHECKING:
    from quantcli.checkpoint import Checkpoint


def check_config(checkpoint: Checkpoint) -> None:
    """Raise `ModelError` if a key of the config has a value that no model can have."""
    for key, value, valid in _values(checkpoint.config):
        if not valid:
            shown = shorten(json.dumps(value), 60)
            raise ModelError(
                f"config.json of {checkpoint.model} is damaged: {key} cannot be {shown}",
                hint="download config.json again",
            )


def _values(config: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """Yield each key that is checked, its value, and whether that is valid."""
    names = config.get("architectures") or []
    are_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    yield "architectures", names, are_names
    model_type = config.get("model_type") or ""
    yield "model_type", model_type, isinstance(model_type, str)
    section = config.get("quantization_config") or {}
    yield "quantization_config", section, isinstance(section, dict)
    yield from _dtypes(config)


def _dtypes(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, bool]]:
    for key in ("dtype", "torch_dtype"):
        value = config.get(key)
        found = [*value.values()] if isinstance(value, dict) else [value]
        yield f"{prefix}{key}", value, all(_is_dtype(name) for name in found)
    for key, part in config.items():
        if key.endswith("_config") and key != "quantization_config" and isinstance(part, dict):
            yield from _dtypes(part, f"{prefix}{key}.")


def _is_dtype(name: Any) -> bool:
    import torch

    if not name:
        return name is None or name == ""
    return isinstance(name, str) and isinstance(getattr(torch, name, None), torch.dtype)
