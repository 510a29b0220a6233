"""The model types of transformers, and the class that `AutoModel` makes of each."""

from __future__ import annotations

from typing import Any

from quantcli.skeleton.classes import base_class


def model_types() -> list[str]:
    """Return every model type that has a base model, sorted."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    return sorted(set(MODEL_MAPPING_NAMES) & set(transformers.CONFIG_MAPPING.keys()))


def config_class(model_type: str) -> Any:
    """Return the class of a model type's config."""
    import transformers

    return transformers.CONFIG_MAPPING[model_type]


def model_class(model_type: str) -> Any:
    """Return the class of a model type's base model."""
    found = base_class(config_class(model_type))
    if found is None:
        raise LookupError(f"no base model of {config_class(model_type).__name__}")
    return found
