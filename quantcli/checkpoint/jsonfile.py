"""JSON that comes from a model: parsed with its file's name in every error."""

from __future__ import annotations

import json
from typing import Any

from quantcli.errors import ModelError


def parse_object(text: bytes, *, where: str, unique_keys: bool = False) -> dict[str, Any]:
    """Return the JSON object in `text`; `where` names it in errors.

    Raises `ModelError` where it is not UTF-8, not JSON or not an object; with `unique_keys`,
    also where a key occurs twice in one object.
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


class _DuplicateKeyError(Exception):
    """An object of the JSON text has the same key twice."""


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise _DuplicateKeyError(repr(key))
        value[key] = item
    return value
