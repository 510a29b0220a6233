"""diffusers, which is an optional package, and its classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quantcli.errors import ModelError
from quantcli.text import first_line
from quantcli.upstream.diffusers import renamed_class


def import_diffusers() -> Any:
    """Return the package. Raises `ModelError` if it is not installed, or cannot be imported."""
    try:
        import diffusers
    except ImportError as error:
        raise ModelError(
            f"pipelines need the package diffusers: {first_line(error)}",
            hint="pip install 'quantcli[diffusers]'",
        ) from error
    return diffusers


def find_model(name: str, config: Mapping[str, Any]) -> Any:
    """Return the class of diffusers that loads a model of this class and config, or None."""
    diffusers = import_diffusers()
    found = getattr(diffusers, name, None)
    if not isinstance(found, type) or not issubclass(found, diffusers.ModelMixin):
        return None
    return renamed_class(found, config)


def hide_progress() -> None:
    """Turn off the progress bar with which diffusers loads a pipeline."""
    from diffusers.utils import logging

    logging.disable_progress_bar()
