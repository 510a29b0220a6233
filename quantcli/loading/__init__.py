"""Frozen directory -> transformers model. Nothing heavy is imported until a model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantcli.loading.registration import autoload, install, register

if TYPE_CHECKING:
    from quantcli.loading.model import load

__all__ = ["autoload", "install", "load", "register"]


def __getattr__(name: str) -> object:
    # importing torch also imports this room, so even its light modules wait
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from quantcli.loading.model import load

    return load
