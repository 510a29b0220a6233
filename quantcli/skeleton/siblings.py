"""Other classes that load the same checkpoint: the base model, and its other heads."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError
from quantcli.skeleton.build import Skeleton, build_as
from quantcli.skeleton.classes import classes_beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel


def build_siblings(skeleton: Skeleton) -> Iterator[Skeleton]:
    """Build the classes that take the same config, the one of `AutoModel` first.

    A class that cannot be built from this config is left out. Code of a repository is not asked.
    """
    for model_class in _siblings(type(skeleton.model)):
        try:
            yield build_as(model_class, deepcopy(skeleton.model.config), skeleton.dtype)
        except ModelError:
            continue


def _siblings(own: type[PreTrainedModel]) -> list[type[PreTrainedModel]]:
    import transformers

    mapping: Any = transformers.MODEL_MAPPING
    base = mapping.get(own.config_class, None)
    found = sorted(classes_beside(own, own.config_class), key=lambda kind: kind is not base)
    return [kind for kind in found if kind is not own]


def prefix_in(own: Skeleton, sibling: Skeleton) -> str:
    """Return what stands before the sibling's names in a checkpoint of `own`.

    A base model is an attribute of the models with a head: `bert.` for `BertModel`.
    """
    prefix = own.model.base_model_prefix
    inside = bool(prefix) and hasattr(own.model, prefix) and not hasattr(sibling.model, prefix)
    return f"{prefix}." if inside else ""
