"""The JSON files of a model: read with their name in every error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quantcli.errors import ModelError
from quantcli.files import parse_json


def parse_object(text: bytes, *, where: str, unique_keys: bool = False) -> dict[str, Any]:
    """Return the JSON object in `text`; `where` is its name in errors.

    Raises `ModelError` if it is not UTF-8, not JSON or not an object; with `unique_keys` also if an
    object has a key twice.
    """
    try:
        value = parse_json(text, unique_keys=unique_keys)
    except ValueError as error:
        raise ModelError(f"{where} {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{where} is not a JSON object")
    return value


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, an empty one if there is no such file.

    Raises `ModelError` as `parse_object` does.
    """
    return parse_object(path.read_bytes(), where=str(path)) if path.is_file() else {}


def check_serializable(value: Any, *, where: str, levels: int = 100) -> None:
    r"""Raise `ModelError` if a value cannot be written as JSON.

    JSON text can be read but not written again with half a character ("\ud800"), or with hundreds
    of nested lists.
    """
    if levels == 0:
        raise ModelError(f"{where} is nested too deeply to be read")
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        raise ModelError(f"{where} is damaged: it holds text that is not Unicode: {value!r:.60}")
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    for part in parts if isinstance(parts, list) else ():
        check_serializable(part, where=where, levels=levels - 1)
