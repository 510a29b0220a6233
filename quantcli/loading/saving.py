"""Save a loaded frozen model: `save_pretrained` writes a frozen directory again."""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.dtypes import dtype_name
from quantcli.errors import ModelError, UsageError
from quantcli.files import read_json, write_json
from quantcli.frozen.config import with_section
from quantcli.frozen.manifest import file_record, is_frozen, read_manifest
from quantcli.loading.inventory import check_inventory, resaved_manifest
from quantcli.mark import MANIFEST, SECTION
from quantcli.upstream.transformers import quantizer_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ALLOWED = (
    "is_main_process",
    "max_shard_size",
    "safe_serialization",
    "save_function",
    "save_original_format",
    "save_peft_format",
    "token",
)
"""Options of `save_pretrained` that a frozen model takes."""

NO_OPTIONS = ("self", "save_directory", "kwargs")
"""Other parameters of it."""

WRITTEN = ("config.json", "generation_config.json", "quanto_qmap.json", "*.py")
"""Files that the manifest lists. Not the model card: many write their own after saving."""

WEIGHTS = ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json")


def save_frozen(
    original: Callable[..., None],
    model: PreTrainedModel,
    save_directory: str | os.PathLike[str],
    *args: Any,
    **kwargs: Any,
) -> None:
    """Save by transformers' own method, `original`, and write a manifest of what it wrote.

    The manifest continues that of the directory that the model was loaded from; if that has none,
    none is written. Raises `ModelError` for a part of a frozen model, and if the directory is the
    one that the model is read from; `UsageError` for options that do not make a frozen directory.
    """
    target = Path(save_directory)
    _check_options(original, model, save_directory, *args, **kwargs)
    quantizer = _quantizer(model)
    source = quantizer.directory
    _check_target(source, target)
    manifest = _manifest(source)
    if is_frozen(target):
        _remove_older(target)
    original(model, save_directory, *args, **kwargs)
    config = read_json(target / "config.json")
    write_json(target / "config.json", with_section(config, config[SECTION]))
    if manifest is None:
        return
    _copy_cards(source, target, model, manifest)
    files = {name: file_record(target / name) for name in _written(target)}
    shards = [target / name for name in files if name.endswith(".safetensors")]
    entries = resaved_manifest(model, manifest, shards, frozen=quantizer.frozen)
    write_json(target / MANIFEST, entries | {"files": files})


def _check_options(original: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    named = inspect.signature(original).bind(*args, **kwargs).arguments
    options = {**named, **kwargs}
    for name, value in options.items():
        if name not in ALLOWED and name not in NO_OPTIONS and value not in (None, False):
            hint = "save it without that option"
            if name == "push_to_hub":
                hint = "use model.push_to_hub(…), which uploads the manifest too"
            raise UsageError(f"a frozen model cannot be saved with {name}", hint=hint)


def _quantizer(model: PreTrainedModel) -> Any:
    quantizer = quantizer_of(model)
    if quantizer is None:
        raise ModelError(
            f"this {type(model).__name__} is part of a frozen model, and cannot be saved alone",
            hint="save the whole model",
        )
    return quantizer


def _manifest(source: Path) -> dict[str, Any] | None:
    if not (source / MANIFEST).is_file():
        return None
    manifest = read_manifest(source)
    check_inventory(manifest, source / MANIFEST)
    return manifest


def _check_target(source: Path, target: Path) -> None:
    if target.is_dir() and source.is_dir() and target.samefile(source):
        raise ModelError(
            f"cannot save to {target}: the model's weights are still read from its files",
            hint="save it to another directory",
        )


def _remove_older(target: Path) -> None:
    """Remove the weights of an older frozen directory: a loader could take them for the new."""
    (target / MANIFEST).unlink(missing_ok=True)
    for pattern in (*WEIGHTS, "quanto_qmap.json"):
        for path in target.glob(pattern):
            path.unlink()


def _copy_cards(
    source: Path, target: Path, model: PreTrainedModel, manifest: Mapping[str, Any]
) -> None:
    """Copy the model card, and Quanto's map while it is still true."""
    dtype = dtype_name(model.dtype)
    same = (type(model).__name__, dtype) == (manifest["architecture"], manifest["dtype"])
    for name in ("README.md", "quanto_qmap.json") if same else ():
        if (source / name).is_file() and not (target / name).exists():
            shutil.copyfile(source / name, target / name)


def _written(target: Path) -> list[str]:
    """Return the files that a save writes, without others in the directory."""
    return sorted(path.name for pattern in (*WRITTEN, *WEIGHTS) for path in target.glob(pattern))
