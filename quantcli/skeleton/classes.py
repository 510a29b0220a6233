"""Which class of transformers, or of the repository, a checkpoint is loaded as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from quantcli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def check_class(name: str, config: Any) -> None:
    """Raise `UsageError` where transformers has no class of this name for a config."""
    known = [kind.__name__ for kind in classes_for(config)]
    if name not in known:
        raise UsageError(
            f"--class {name}: no such class for {config.model_type} models",
            hint=did_you_mean(name, known),
        )


def classes_for(config: Any) -> list[type[PreTrainedModel]]:
    """List the classes that take a config or one of its parts, the one of `AutoModel` first."""
    import transformers

    parts = [getattr(config, name, None) for name in config.sub_configs]
    found: dict[type[PreTrainedModel], None] = {}
    for part in (config, *(part for part in parts if part is not None)):
        if type(part) in transformers.MODEL_MAPPING:
            mapped: Any = transformers.MODEL_MAPPING[type(part)]
            base = mapped[0] if isinstance(mapped, tuple) else mapped
            found |= dict.fromkeys([base, *classes_beside(base, type(part))])
    return list(found)


def classes_beside(own: type[PreTrainedModel], config_class: Any) -> list[type[PreTrainedModel]]:
    """List the public classes of a model's module that take a class of config."""
    import sys

    import transformers

    if not own.__module__.startswith("transformers."):
        return []
    return [
        kind
        for kind in vars(sys.modules[own.__module__]).values()
        if isinstance(kind, type)
        and issubclass(kind, transformers.PreTrainedModel)
        and kind.__module__ == own.__module__
        and kind.config_class is config_class
        and hasattr(transformers, kind.__name__)
        and not kind.__name__.endswith("PreTrainedModel")
    ]


def config_for(model_class: type[PreTrainedModel], config: Any, folder: str) -> Any:
    """Return the config that a class takes: a part of it where the class is one tower of a model.

    It is read as `from_pretrained` of the class reads it.
    """
    wanted = model_class.config_class
    parts = [getattr(config, name, None) for name in config.sub_configs]
    if wanted is None or isinstance(config, wanted) or type(config) is wanted:
        return config
    if any(type(part) is wanted for part in parts):
        return wanted.from_pretrained(folder)
    return config


def remote_class(references: Mapping[str, Any] | None, name: str, folder: str) -> Any:
    """Return the class of this name from the code in a folder, None if that has none.

    `references` is the config's `auto_map`. Runs the code, and lets through what it raises.
    """
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    for reference in (references or {}).values():
        # a tokenizer has a pair here, a model one string
        if isinstance(reference, str) and reference.rpartition(".")[2] == name:
            return get_class_from_dynamic_module(reference, folder)
    return None
