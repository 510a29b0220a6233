"""Other classes that load the same checkpoint: the base model, and models with other heads."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError
from quantcli.skeleton.build import Skeleton, build_as
from quantcli.skeleton.classes import classes_beside
from quantcli.upstream.transformers import base_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel


def build_siblings(skeleton: Skeleton) -> Iterator[Skeleton]:
    """Build the classes that take the same config, the one of `AutoModel` first.

    Classes that cannot be built from this config are left out, and those of a repository's code.
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
    """Return the prefix of the sibling's names in a checkpoint of `own`.

    A base model is an attribute of the models with a head: `bert.` for `BertModel`.
    """
    prefix = base_prefix(own.model)
    inside = bool(prefix) and hasattr(own.model, prefix) and not hasattr(sibling.model, prefix)
    return f"{prefix}." if inside else ""
