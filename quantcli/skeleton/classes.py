"""Which class of transformers, or of the repository, a checkpoint is loaded as."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.errors import UsageError, did_you_mean
from quantcli.upstream.transformers import class_from_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Code:
    """The code of a model's own, which the user trusts: the config's `auto_map`, and its folder."""

    references: Any
    folder: Path

    def find(self, name: str) -> Any:
        """Return the class of this name, or None. Runs the code, and lets through its errors."""
        reference = self._reference(name)
        return reference and class_from_folder(reference, absolute(self.folder))

    def has(self, name: str) -> bool:
        """Return whether the code has a class of this name. Does not run the code."""
        return self._reference(name) is not None

    def _reference(self, name: str) -> str | None:
        references = self.references.values() if isinstance(self.references, dict) else ()
        for reference in references:
            # a tokenizer has a pair here, a model one string
            if isinstance(reference, str) and reference.rpartition(".")[2] == name:
                return reference
        return None


def find_class(names: Iterable[str], code: Code | None = None) -> type[PreTrainedModel] | None:
    """Return the first model class of these names, from the model's `code` or transformers.

    None if there is none. Lets through what the code raises, or a module that cannot be imported.
    """
    import transformers

    base = transformers.PreTrainedModel
    for name in names:
        found = code.find(name) if code else None
        found = found or getattr(transformers, name, None)
        if isinstance(found, type) and issubclass(found, base) and found is not base:
            return found
    return None


def absolute(folder: Path) -> str:
    """Return a folder as transformers must be given it: it takes "org/name" for a Hub id."""
    return str(folder.resolve())


def base_class(config_class: Any) -> type[PreTrainedModel] | None:
    """Return the class that `AutoModel` makes of a class of config, or None."""
    import transformers

    mapping: Any = transformers.MODEL_MAPPING
    if config_class not in mapping:
        return None
    found = mapping[config_class]
    base: type[PreTrainedModel] = found[0] if isinstance(found, tuple) else found
    return base


def check_class(name: str, config: Any) -> None:
    """Raise `UsageError` if transformers has no class of this name for a config."""
    known = [kind.__name__ for kind in classes_for(config)]
    if name not in known:
        raise UsageError(
            f"--class {name}: no such class for {config.model_type} models",
            hint=did_you_mean(name, known),
        )


def classes_for(config: Any) -> list[type[PreTrainedModel]]:
    """Return the classes that take a config or one of its parts, the one of `AutoModel` first."""
    parts = [getattr(config, name, None) for name in config.sub_configs]
    found: dict[type[PreTrainedModel], None] = {}
    for part in (config, *(part for part in parts if part is not None)):
        base = base_class(type(part))
        if base is not None:
            found |= dict.fromkeys([base, *classes_beside(base, type(part))])
    return list(found)


def classes_beside(own: type[PreTrainedModel], config_class: Any) -> list[type[PreTrainedModel]]:
    """Return the public classes in the module of a model that take a class of config."""
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


def config_for(model_class: type[PreTrainedModel], config: Any, folder: Path) -> Any:
    """Return the config that a class takes: a part of it if the class is one tower of a model.

    The part is read as `from_pretrained` of the class reads it.
    """
    wanted = model_class.config_class
    parts = [getattr(config, name, None) for name in config.sub_configs]
    if wanted is None or isinstance(config, wanted) or type(config) is wanted:
        return config
    if any(type(part) is wanted for part in parts):
        return wanted.from_pretrained(absolute(folder))
    return config
