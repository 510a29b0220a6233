"""JSON of a model, parsed with the name of its file in every error."""

from __future__ import annotations

import json
from typing import Any

from quantcli.errors import ModelError


def parse_object(text: bytes, *, where: str, unique_keys: bool = False) -> dict[str, Any]:
    """Return the JSON object in `text`; `where` names it in errors.

    Raises `ModelError` if it is not UTF-8, not JSON or not an object; with `unique_keys`, also if a
    key occurs twice in one object.
    """
    hook = _refuse_duplicates if unique_keys else None
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=hook)
    except UnicodeDecodeError as error:
        raise ModelError(f"{where} is not UTF-8 text (byte {error.start})") from error
    except _DuplicateKeyError as error:
        raise ModelError(f"{where} names {error} twice") from error
    # ValueError: not only JSONDecodeError, but also a number of thousands of digits.
    except ValueError as error:
        raise ModelError(f"{where} is not valid JSON: {error}") from error
    except RecursionError as error:
        raise ModelError(f"{where} is nested too deeply to be read") from error
    if not isinstance(value, dict):
        raise ModelError(f"{where} is not a JSON object")
    return value


def check_writable(value: Any, *, where: str, levels: int = 100) -> None:
    r"""Raise `ModelError` for what can be read but not written: "\ud800", deeply nested lists."""
    if levels == 0:
        raise ModelError(f"{where} is nested too deeply to be read")
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        raise ModelError(f"{where} is damaged: it holds text that is not Unicode: {value!r:.60}")
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    for part in parts if isinstance(parts, list) else ():
        check_writable(part, where=where, levels=levels - 1)


class _DuplicateKeyError(Exception):
    """An object of the JSON text has the same key twice."""


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise _DuplicateKeyError(repr(key))
        value[key] = item
    return value
