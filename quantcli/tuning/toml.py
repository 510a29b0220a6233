"""A recipe as TOML that a person can read and edit, with what was measured in comments."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

WIDTH = 96
"""Columns that a comment takes at most."""

_TABLES = ("rules", "compare", "gates")


def write_toml(recipe: Mapping[str, Any], comments: Iterable[str]) -> str:
    """Return a recipe as TOML, after comments of a paragraph each.

    Its keys come first, then the rules, then the tables `[compare]` and `[gates]`. What is None or
    empty is left out.
    """
    parts = [
        "".join(_comment(comment) for comment in comments),
        _keys({key: value for key, value in recipe.items() if key not in _TABLES}),
        *(f"[[rules]]\n{_keys(rule)}" for rule in recipe.get("rules", ())),
        *(_table(name, recipe.get(name, {})) for name in ("compare", "gates")),
    ]
    return "\n".join(part for part in parts if part)


def _comment(text: str) -> str:
    lines = [line for part in text.splitlines() for line in textwrap.wrap(part, WIDTH) or [""]]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _table(name: str, values: Mapping[str, Any]) -> str:
    keys = _keys(values)
    return f"[{name}]\n{keys}" if keys else ""


def _keys(values: Mapping[str, Any]) -> str:
    return "".join(
        f"{key} = {_value(value)}\n"
        for key, value in values.items()
        if value is not None and value not in ("", [], ())
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    return f"[{', '.join(_items(value))}]"


def _items(values: Iterable[Any]) -> Iterator[str]:
    yield from map(_value, values)


def _text(text: str) -> str:
    """Return a basic string of TOML: JSON's escapes are TOML's, which also escapes DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
