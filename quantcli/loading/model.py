"""Load a frozen directory as the class that it was frozen from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.errors import ModelError, QuantcliError
from quantcli.loading.registration import METHOD, register
from quantcli.paths import expand

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def load(
    directory: str | Path,
    *,
    device_map: str | dict[str, Any] | None = None,
    dtype: str | torch.dtype | None = None,
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """Load a frozen directory as a transformers model in eval mode.

    `device_map` and `dtype` are those of `from_pretrained`; the default dtype is the frozen one.
    On a CPU the tensors stay memory-mapped, so the directory must outlive the model.

    Raises `ModelError` where the directory is not a frozen one, lacks a tensor or has one too many.
    """
    folder = Path(expand(directory))
    config = _read_config(folder)
    register()
    import safetensors

    model_class = _find_class(folder, config, trust_remote_code)
    try:
        model: PreTrainedModel = model_class.from_pretrained(
            str(folder.resolve()),
            device_map=device_map,
            dtype="auto" if dtype is None else dtype,
            trust_remote_code=trust_remote_code,
            local_files_only=True,
        )
    except QuantcliError:
        raise
    except (OSError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder}: {_first_line(error)}") from error
    return model


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _not_frozen(folder) from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from error
    method = (config.get("quantization_config") or {}).get("quant_method")
    if method != METHOD:
        raise _not_frozen(folder)
    return dict(config)


def _not_frozen(folder: Path) -> ModelError:
    return ModelError(
        f"{folder} is not a frozen directory", hint="make one: quantcli quantize MODEL -o DIR"
    )


def _find_class(folder: Path, config: dict[str, Any], trust_remote_code: bool) -> Any:
    import transformers

    names = config.get("architectures") or []
    for name in names:
        found = None
        if trust_remote_code:
            found = _remote_class(folder, config, name)
        found = found or getattr(transformers, name, None)
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            return found
    if not names:
        return transformers.AutoModel
    hint = "upgrade transformers if the model is newer than it"
    if config.get("auto_map") and not trust_remote_code:
        hint = "its code is in the directory: read it, then pass trust_remote_code=True to run it"
    raise ModelError(f"{folder}: transformers does not know {names[0]}", hint=hint)


def _remote_class(folder: Path, config: dict[str, Any], name: str) -> Any:
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    for reference in (config.get("auto_map") or {}).values():
        # a tokenizer has a pair here, a model one string
        if isinstance(reference, str) and reference.rpartition(".")[2] == name:
            return get_class_from_dynamic_module(reference, str(folder.resolve()))
    return None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
