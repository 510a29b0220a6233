"""The class of the model in a frozen directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantcli.errors import ModelError
from quantcli.skeleton import remote_class


def find_class(folder: Path, config: Mapping[str, Any], *, trust_remote_code: bool) -> Any:
    """Return the class that `config.architectures` names.

    Raises `ModelError` where transformers has none and its code may not be run.
    """
    import transformers

    names = config.get("architectures") or []
    for name in names:
        remote = None
        if trust_remote_code:
            remote = remote_class(config.get("auto_map"), name, str(folder.resolve()))
        found = remote or getattr(transformers, name, None)
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            return found
    if not names:
        return transformers.AutoModel
    hint = "upgrade transformers if the model is newer than it"
    if config.get("auto_map") and not trust_remote_code:
        hint = "its code is in the directory: read it, then pass trust_remote_code=True to run it"
    raise ModelError(f"cannot load {folder}: transformers does not know {names[0]}", hint=hint)
