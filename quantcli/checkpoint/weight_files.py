"""Which of a model's files are its weights, and which go with them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from quantcli.checkpoint.jsonfile import parse_object
from quantcli.checkpoint.records import WEIGHT_SUFFIXES
from quantcli.errors import ModelError
from quantcli.text import some

ENTRIES = (
    ("safetensors", "model.safetensors"),
    ("safetensors", "model.safetensors.index.json"),
    ("pytorch", "pytorch_model.bin"),
    ("pytorch", "pytorch_model.bin.index.json"),
)
"""Where transformers looks for weights, in its order."""

DIFFUSERS_ENTRIES = (
    ("safetensors", "diffusion_pytorch_model.safetensors.index.json"),
    ("safetensors", "diffusion_pytorch_model.safetensors"),
    ("pytorch", "diffusion_pytorch_model.bin.index.json"),
    ("pytorch", "diffusion_pytorch_model.bin"),
)
"""Where diffusers looks for the weights of a model, in its order."""

_INDEX = ".index.json"

_SUFFIXES = "|".join(suffix.removeprefix(".") for suffix in WEIGHT_SUFFIXES)

_WEIGHTS = re.compile(
    rf".*\.({_SUFFIXES}|ot|onnx|onnx_data|ggml|pickle|tflite|mlmodel|mlpackage|mar|params|pdparams"
    r"|nemo|distcp|engine|dduf)"
    r"|.*\.(safetensors|bin|h5|msgpack)\.index.*\.json"
    r"|checkpoint|.*\.(onnx|gguf|ckpt)[.-].*",
    re.IGNORECASE,
)

_STATE = re.compile(r"(trainer_state|zero_to_fp32|latest|global_step\d*|scaler|rng_state.*)(\..*)?")

_LEFT = {
    "config.json",  # these four are written anew
    "README.md",
    "quantcli.json",
    "quanto_qmap.json",
    "adapter_config.json",  # transformers would load the model that it names, with peft
}

_EXPORTS = {"onnx", "openvino", "coreml", "tflite", "tensorrt", "gguf", "mlx", "original", "runs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFiles:
    """The files that hold a model's weights, of one of two formats.

    `entry` is the single file or the shard index; `files` are in the order in which transformers
    reads them; `weight_map` is tensor -> file, None without an index.
    """

    weights_format: str
    entry: str
    files: tuple[str, ...]
    weight_map: Mapping[str, str] | None = None
    metadata: dict[str, Any] | None = None


def find_entry(
    names: Collection[str], config: Mapping[str, Any], *, model: str
) -> tuple[str, str] | None:
    """Return the format and the file that the loader would begin with, None if there is none.

    Raises `ModelError` if the config names a file that is not there.
    """
    explicit = config.get("transformers_weights")
    if isinstance(explicit, str) and explicit.removesuffix(_INDEX).endswith(".safetensors"):
        check_inside(explicit, where="config.json")
        if explicit in names:
            return "safetensors", explicit
        raise ModelError(f"{model} has no {explicit}, the weights file named in its config.json")
    for weights_format, entry in DIFFUSERS_ENTRIES if "_class_name" in config else ENTRIES:
        if entry in names:
            return weights_format, entry
    return None


def parse_weight_files(weights_format: str, entry: str, index: bytes | None) -> WeightFiles:
    """Return a single file (no `index`) or the shards that an index names.

    Raises `ModelError` for a damaged index, and for shards outside the folder.
    """
    if index is None:
        return WeightFiles(weights_format=weights_format, entry=entry, files=(entry,))
    content = parse_object(index, where=entry, unique_keys=True)
    weight_map = content.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{entry} has no weight_map")
    for name, file in weight_map.items():
        if not isinstance(file, str):
            raise ModelError(f"{entry} gives no file for tensor {name!r}")
        check_inside(file, where=entry)
    metadata = content.get("metadata")
    return WeightFiles(
        weights_format=weights_format,
        entry=entry,
        files=tuple(sorted(set(weight_map.values()))),
        weight_map=weight_map,
        metadata=metadata if isinstance(metadata, dict) else {},
    )


def check_inside(file: str, *, where: str) -> None:
    """Raise `ModelError` for a file name that leads out of the model's folder."""
    path = PurePosixPath(file)
    unsafe = not path.parts or path.is_absolute() or ".." in path.parts
    if unsafe or "\\" in file or ":" in file or "\0" in file:
        raise ModelError(f"unsafe: {where} names a file outside the model's folder: {file!r}")


def is_weights(name: str) -> bool:
    """Return whether a file is one of weights, in any format that is known."""
    return _WEIGHTS.fullmatch(PurePosixPath(name).name) is not None


def is_index(entry: str) -> bool:
    """Return whether a weights entry is a shard index."""
    return entry.endswith(_INDEX)


def module_folders(modules: Any) -> tuple[str, ...]:
    """Return the folders that a sentence-transformers `modules.json` lists, without the root."""
    if not isinstance(modules, list):
        return ()
    paths = (module.get("path") for module in modules if isinstance(module, dict))
    folders = (PurePosixPath(path).as_posix() for path in paths if isinstance(path, str))
    return tuple(folder for folder in folders if folder != ".")


def side_names(
    names: Iterable[str], *, weight_files: Collection[str], folders: Collection[str]
) -> list[str]:
    """Return, sorted, the files that go with the weights into a new directory.

    `folders` are those of `module_folders`: whatever they hold belongs to the model.
    """
    return sorted(name for name in names if name not in weight_files and _is_side(name, folders))


def _is_side(name: str, folders: Collection[str]) -> bool:
    path = PurePosixPath(name)
    if any(part.startswith((".", "__pycache__")) for part in path.parts):
        return False
    if any(path.is_relative_to(folder) for folder in folders):
        return path.name != "README.md"
    if name in _LEFT or _WEIGHTS.fullmatch(path.name) or _STATE.fullmatch(path.name):
        return False
    return not any(_is_foreign(part) for part in path.parts[:-1])


def _is_foreign(folder: str) -> bool:
    return folder.lower() in _EXPORTS or folder.startswith(("checkpoint-", "global_step"))


def what_else(names: Collection[str], *, diffusers: bool = False) -> str:
    """Return a hint with the weight files that are needed, and those that exist."""
    found = sorted(name for name in names if _WEIGHTS.fullmatch(PurePosixPath(name).name))
    entries = sorted(DIFFUSERS_ENTRIES, reverse=True) if diffusers else ENTRIES
    files = [entry for _, entry in entries if not is_index(entry)]
    wanted = f"needed: {' or '.join(files)}, or an index of their shards"
    if not found:
        return wanted
    return f"{wanted}; found: {some(found)}"
