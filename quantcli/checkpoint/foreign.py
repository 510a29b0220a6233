"""Folders, repos and files that are no transformers model: what they are, and what to do."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from quantcli.checkpoint.nested import is_model
from quantcli.checkpoint.records import (
    CONFIG,
    MODULES,
    PIPELINE,
    TOKENIZER_FILES,
    WEIGHT_SUFFIXES,
    ModelFiles,
)
from quantcli.checkpoint.weight_files import what_else
from quantcli.errors import ModelError
from quantcli.paths import MODEL_NAMES
from quantcli.text import some

ADAPTER = "adapter_config.json"

_ORIGINAL = "give the original model, with safetensors or PyTorch weights"


def not_a_model(files: ModelFiles, *, diffusers: bool = False) -> ModelError:
    """Return the error for a folder or repo without a config or without weights.

    `diffusers` says that its config is that of a model of diffusers, not of transformers.
    """
    for kind in _KINDS:
        error = kind(files)
        if error is not None:
            return error
    if CONFIG in files.sizes:
        hint = what_else(files.sizes, diffusers=diffusers)
        return ModelError(f"no weights in {files.model}", hint=hint)
    return ModelError(
        f"no {CONFIG} in {files.model}",
        hint=f"quantcli needs a model in transformers' format: {CONFIG} beside its weights",
    )


def not_a_folder(path: Path) -> ModelError:
    """Return the error for a file given instead of a model's folder."""
    folder = path.parent
    if path.suffix.lower() == ".gguf":
        return _gguf_error(str(path), str(folder), path.name)
    if path.suffix.lower() == ".onnx":
        return ModelError(f"{path} is an ONNX file", hint=_ORIGINAL)
    if (folder / CONFIG).is_file():
        return ModelError(f"{path} is a file, not a folder", hint=f"give its folder: {folder}")
    if (folder / ADAPTER).is_file():
        return _adapter_error(str(folder), (folder / ADAPTER).read_bytes())
    if path.suffix.lower() in WEIGHT_SUFFIXES:
        return ModelError(
            f"{path} holds weights only: there is no {CONFIG} beside it",
            hint=f"give a folder with the model's {CONFIG} and its weights",
        )
    return ModelError(f"{path} is a file, not a folder", hint="give a model's folder or Hub id")


def no_such_folder(path: str) -> ModelError:
    """Return the error for a path that does not exist."""
    near = nearest_folder(path)
    hint = f"did you mean {near}?" if near else MODEL_NAMES
    return ModelError(f"no such folder: {path}", hint=hint)


def nearest_folder(path: str) -> str | None:
    """Return the folder beside `path` with the most similar name, None if none is similar."""
    try:
        names = [entry.name for entry in Path(path).parent.iterdir() if entry.is_dir()]
    except (OSError, ValueError):
        return None
    close = difflib.get_close_matches(Path(path).name, names, n=1, cutoff=0.7)
    if not close:
        return None
    return path.rstrip("/").removesuffix(Path(path).name) + close[0]


def _empty(files: ModelFiles) -> ModelError | None:
    if files.sizes:
        return None
    what = "folder" if files.revision is None else "repository"
    return ModelError(f"{files.model} is an empty {what}", hint="give a model's folder or Hub id")


def _adapter(files: ModelFiles) -> ModelError | None:
    if ADAPTER not in files.sizes:
        return None
    return _adapter_error(files.model, files.read_all(ADAPTER))


def _adapter_error(model: str, text: bytes) -> ModelError:
    try:
        config = json.loads(text)
        base, kind = config.get("base_model_name_or_path"), str(config.get("peft_type") or "")
    except (ValueError, AttributeError):
        base, kind = None, ""
    names = {"LORA": "a LoRA adapter", "": "an adapter"}
    message = f"{model} is {names.get(kind, f'an adapter ({kind})')}, not a whole model"
    its_base = f"its base model ({base})" if base else "its base model"
    if any(word in kind for word in ("PROMPT", "PREFIX", "P_TUNING")):
        return ModelError(message, hint=f"it cannot be merged: quantize {its_base} alone")
    return ModelError(
        message,
        hint=f"merge it into {its_base} with peft, and give the result: PeftModel.from_pretrained("
        f"base, '{model}').merge_and_unload().save_pretrained('merged')",
    )


def _pipeline(files: ModelFiles) -> ModelError | None:
    if PIPELINE not in files.sizes:
        return None
    folders = {name.rpartition("/")[0] for name in files.sizes if name.count("/") == 1}
    parts = sorted(folder for folder in folders if f"{folder}/{CONFIG}" in files.sizes)
    return ModelError(
        f"{files.model} is a diffusers pipeline, not one model", hint=_give_one(files, parts)
    )


def _modules(files: ModelFiles) -> ModelError | None:
    if MODULES not in files.sizes or CONFIG in files.sizes:
        return None
    return ModelError(
        f"{files.model} is a sentence-transformers model without a transformer",
        hint="quantcli quantizes transformers models only",
    )


def _gguf(files: ModelFiles) -> ModelError | None:
    found = _with_suffix(files, ".gguf")
    return _gguf_error(files.model, files.model, found[0]) if found else None


def _gguf_error(given: str, model: str, file: str) -> ModelError:
    return ModelError(
        f"{given} is a GGUF model",
        # transformers 5 does not save a model that it takes for quantized
        hint="give the original model; or convert it with transformers: "
        f"model = AutoModelForCausalLM.from_pretrained('{model}', gguf_file='{file}'); "
        "del model.hf_quantizer, model.config.quantization_config; "
        "model.save_pretrained('converted')",
    )


def _export(files: ModelFiles) -> ModelError | None:
    kinds = {".onnx": "ONNX", ".tflite": "TensorFlow Lite", ".mlmodel": "Core ML"}
    for suffix, name in kinds.items():
        if _with_suffix(files, suffix):
            return ModelError(f"{files.model} is an export to {name}", hint=_ORIGINAL)
    if any(name.endswith("openvino_model.xml") for name in files.sizes):
        return ModelError(f"{files.model} is an export to OpenVINO", hint=_ORIGINAL)
    return None


def _framework(files: ModelFiles) -> ModelError | None:
    for file, name, option in (
        ("tf_model.h5", "TensorFlow", "from_tf"),
        ("flax_model.msgpack", "Flax", "from_flax"),
    ):
        if file in files.sizes:
            return ModelError(
                f"{files.model} has only {name} weights",
                hint=f"convert it with transformers 4: from_pretrained('{files.model}', "
                f"{option}=True), then save_pretrained",
            )
    return None


def _tokenizer(files: ModelFiles) -> ModelError | None:
    if CONFIG in files.sizes or not any(name in files.sizes for name in TOKENIZER_FILES):
        return None
    if any(name.endswith(WEIGHT_SUFFIXES) for name in files.sizes):
        return None
    return ModelError(
        f"{files.model} holds a tokenizer, but no model", hint="give the model's folder or Hub id"
    )


def _parent(files: ModelFiles) -> ModelError | None:
    folders = {name.rpartition("/")[0] for name in files.sizes if name.endswith(f"/{CONFIG}")}
    models = sorted(folder for folder in folders if is_model(files.sizes, f"{folder}/"))
    if not models or CONFIG in files.sizes:
        return None
    return ModelError(
        f"{files.model} is not a model itself, but holds models", hint=_give_one(files, models)
    )


def _give_one(files: ModelFiles, folders: list[str]) -> str:
    """Return a hint with the models in subfolders."""
    if not folders:
        return "give one of its models"
    root = files.model.rstrip("/")
    download = ""
    if files.revision is not None:
        root = root.rpartition("/")[2]
        download = f"download it (hf download {files.model} --local-dir {root}), then "
    named = some([f"{root}/{folder}" for folder in folders], 5)
    return f"{download}give one of its models: {named}"


def _with_suffix(files: ModelFiles, suffix: str) -> list[str]:
    names = (name for name in files.sizes if name.lower().endswith(suffix))
    return sorted(names, key=lambda name: (PurePosixPath(name).parts[:-1], name))


_KINDS: tuple[Callable[[ModelFiles], ModelError | None], ...] = (
    _empty,
    _adapter,
    _pipeline,
    _gguf,
    _parent,
    _modules,
    _export,
    _framework,
    _tokenizer,
)
"""What else a folder may be, tried in this order."""
