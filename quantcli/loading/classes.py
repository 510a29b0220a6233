"""The class of the model in a frozen directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantcli.errors import ModelError
from quantcli.loading.faults import load_error
from quantcli.skeleton import Code, find_class
from quantcli.upstream.foreign import foreign_code


def frozen_class(folder: Path, config: Mapping[str, Any], *, trust_remote_code: bool) -> Any:
    """Return the class that `config.architectures` names; `AutoModel` if it names none.

    Raises `ModelError` if transformers has no such class and the model's code may not be run.
    """
    import transformers

    names = _names(folder, config)
    code = Code(config.get("auto_map"), folder) if trust_remote_code else None
    with foreign_code(load_error(folder)):
        found = find_class(names, code)
    if found is not None or not names:
        return found or transformers.AutoModel
    hint = "upgrade transformers if the model is newer than it"
    if config.get("auto_map") and not trust_remote_code:
        hint = "its code is in the directory: read it, then pass trust_remote_code=True to run it"
    raise ModelError(f"cannot load {folder}: transformers does not know {names[0]}", hint=hint)


def _names(folder: Path, config: Mapping[str, Any]) -> list[str]:
    names = config.get("architectures") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ModelError(
            f"cannot load {folder}: architectures of config.json is not a list of names"
        )
    return names
