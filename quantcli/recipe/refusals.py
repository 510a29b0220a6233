"""Turn pydantic's validation errors into one `UsageError`: file, key, problem and hint."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quantcli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_WANTED = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "model_type": "a table",
}
"""The type of pydantic's error -> the type that the key takes."""

_COMPLAINTS = {
    "missing": "is missing",
    "string_too_short": "must not be empty",
    "string_unicode": "is not valid Unicode",
}
"""The type of any other error -> what is wrong."""

_TWO_BRACKETS = "write [[rules]], with two brackets"

_TOML_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number with a fraction"),
    (str, "text"),
    ((list, tuple), "a list"),
    (dict, "a table"),
    ((dt.date, dt.time), "a date or time"),
)
"""TOML's name for the type of a value; the first that fits, since a bool is also an int."""


def key_path(loc: Sequence[str | int]) -> str:
    """Spell ("rules", 0, "match") as rules[0].match."""
    path = ""
    for step in loc:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.removeprefix(".")


def usage_error(
    error: ValidationError,
    known: Mapping[str, Sequence[str]],
    origin: str | None,
    spell: Callable[[Sequence[str | int]], str] = key_path,
) -> UsageError:
    """Return the error for the first problem; unknown keys come before wrong values.

    `known` names the keys of each table; "" is the recipe itself. `spell` writes the path of a key.
    """
    details = error.errors(include_url=False)
    first = min(details, key=lambda detail: detail["type"] != "extra_forbidden")
    message, hint = _explain(first, known, spell(first["loc"]))
    return UsageError(f"{origin}: {message}" if origin else message, hint=hint)


def _explain(
    detail: ErrorDetails, known: Mapping[str, Sequence[str]], key: str
) -> tuple[str, str | None]:
    kind = detail["type"]
    if kind == "extra_forbidden":
        *table, name = detail["loc"]
        return f"unknown key: {key}", did_you_mean(str(name), known[str(table[0]) if table else ""])
    if kind == "refusal":
        context = detail["ctx"]
        return ": ".join(filter(None, (key, context["message"]))), context["hint"]
    hint = _TWO_BRACKETS if key == "rules" and kind == "tuple_type" else None
    return f"{key}: {_complaint(detail)}", hint


def _complaint(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {_toml_type(detail['input'])}"
    return _COMPLAINTS.get(kind, detail["msg"])


def _toml_type(value: Any) -> str:
    for types, name in _TOML_TYPES:
        if isinstance(value, types):
            return name
    return f"a {type(value).__name__}"
