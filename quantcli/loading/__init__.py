"""Frozen directory -> transformers model. Nothing heavy is imported until a model is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quantcli.loading.model import load
    from quantcli.loading.registration import autoload, install, register

__all__ = ["autoload", "install", "load", "register"]


def __getattr__(name: str) -> object:
    # torch and transformers import modules of this package, so the rest waits
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = "model" if name == "load" else "registration"
    return getattr(import_module(f"{__name__}.{module}"), name)
