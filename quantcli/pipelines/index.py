"""`model_index.json`: the class of a pipeline, and its components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantcli.checkpoint.jsonfile import check_serializable, parse_object
from quantcli.checkpoint.nested import is_model
from quantcli.checkpoint.records import PIPELINE, ModelFiles
from quantcli.errors import ModelError

CLASS = "_class_name"

_HINT = f"download {PIPELINE} again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A component of a pipeline: the folder that it is in, and the class that loads it.

    `package` is "diffusers", "transformers" or a module of `diffusers.pipelines`.
    """

    name: str
    package: str
    class_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The content of `model_index.json`, without components that a pipeline does not have."""

    class_name: str
    parts: tuple[Part, ...]


def is_pipeline(files: ModelFiles) -> bool:
    """Return whether a folder or repo is a pipeline, and not one model."""
    return PIPELINE in files.sizes and not is_model(files.sizes)


def is_pipeline_folder(folder: Path) -> bool:
    """Return whether a local folder has the index of a pipeline."""
    return (folder / PIPELINE).is_file()


def parse_index(text: bytes, *, where: str) -> Index:
    """Return the content of `model_index.json`; `where` is its name in errors.

    Raises `ModelError` if it is damaged.
    """
    content = parse_object(text, where=where, unique_keys=True)
    check_serializable(content, where=where)
    name = content.get(CLASS)
    if isinstance(name, list):  # a module of the repository, and the class in it
        name = name[-1] if name else None
    if not isinstance(name, str) or not name:
        raise ModelError(f"{where} names no class of pipelines ({CLASS})", hint=_HINT)
    return Index(class_name=name, parts=_parts(content, where))


def _parts(content: Mapping[str, Any], where: str) -> tuple[Part, ...]:
    """Return the components: the entries of two names. All others are options of the pipeline."""
    found = []
    for name, value in content.items():
        if name.startswith("_") or not isinstance(value, list) or len(value) != 2:
            continue
        library, class_name = value
        if library is None or class_name is None:
            continue
        if not isinstance(library, str) or not isinstance(class_name, str):
            continue
        if not name or {"/", "\\", "\0"} & {*name} or name == "..":
            raise ModelError(f"unsafe: {where} names a component outside its folder: {name!r}")
        found.append(Part(name=name, package=library, class_name=class_name))
    return tuple(found)
