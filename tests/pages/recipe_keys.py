"""The keys of a recipe as tables, from the schema; and the template, which shows them all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from pages.command_help import COMMANDS
from pages.markdown import ROOT, table
from quantcli.recipe import CalibrationSamples, Compare, Gates, Recipe, Rule

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

TABLES = {
    "recipe": Recipe,
    "rules": Rule,
    "calibration": CalibrationSamples,
    "compare": Compare,
    "gates": Gates,
}
"""What a table is called here -> its model. The keys of "recipe" stand outside any table."""

OWN_WORDS = {
    "recipe.model": "The model: a Hub id or a folder. Without it, the command names the model.",
    "recipe.embeddings": "Dtype of the embeddings: `keep`, or one that quantizes.",
    "recipe.rules": "Exceptions for some modules. The first rule that matches a module applies.",
    "recipe.calibration": "What scales are calibrated with: see `[calibration]`.",
    "recipe.compare": "What `quantcli compare` runs the models on: see `[compare]`.",
    "recipe.gates": "What the comparison must meet: see `[gates]`.",
    "rules.match": "Glob on module names. Required.",
    "rules.weights": "Weight dtype of the modules that match, or `keep`.",
    "rules.group_size": "Values per scale of these modules, for int4 and int2.",
    "calibration.task": "Run the model as one of the [tasks](commands.md#tasks).",
    "calibration.text": "A text to feed the model.",
    "calibration.image": "An image to feed the model.",
    "calibration.audio": "An audio file to feed the model.",
    "calibration.max_tokens": "Tokens of a text; a longer one is cut. 256 without it.",
    "calibration.self_generated": "Let a language model write the samples; not for activations.",
    "compare.generate": "Generate text too, which is slow.",
}
"""Keys without an option of the same name, or with another meaning."""

_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "object": "table",
}
"""A type in JSON Schema -> what a recipe holds there."""


def key_table(name: str) -> str:
    model = TABLES[name]
    properties = model.model_json_schema()["properties"]
    rows = [
        (
            f"`{key}`",
            _type(properties[key]),
            _default(field),
            _option(name, key) and f"`{_option(name, key)}`",
            _meaning(name, key),
        )
        for key, field in model.model_fields.items()
    ]
    return table(("key", "type", "default", "option", "what it does"), *rows)


def template() -> str:
    text = (ROOT / "configs" / "template.toml").read_text(encoding="utf-8")
    return f"\n```toml\n{text.strip()}\n```\n\n"


def _type(schema: dict[str, Any]) -> str:
    choices = [choice for choice in schema.get("anyOf", [schema]) if choice.get("type") != "null"]
    (found,) = choices
    if "$ref" in found:
        return "table"
    if found["type"] == "array":
        return f"list of {_type(found['items'])}" + ("s" if "$ref" in found["items"] else "")
    return _TYPES[found["type"]]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if field.is_required() or value is None or isinstance(value, BaseModel):
        return ""
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


def _parameter(key: str) -> Any:
    parameters = [*COMMANDS["quantize"].params, *COMMANDS["compare"].params]
    return next((p for p in parameters if p.name == key and p.opts[0].startswith("-")), None)


def _option(table: str, key: str) -> str:
    if (table, key) == ("recipe", "calibration"):
        return ""  # the option of that name takes a file
    parameter = _parameter(f"calibration_{key}" if table == "calibration" else key)
    return parameter.opts[-1] if parameter else ""


def _meaning(table: str, key: str) -> str:
    if f"{table}.{key}" in OWN_WORDS:
        return OWN_WORDS[f"{table}.{key}"]
    text = re.sub(r"\s*\[default: [^\]]*\]", "", _parameter(key).help)
    return text.replace("; repeatable.", ".")


SECTIONS: dict[str, Callable[[], str]] = {
    **{f"keys of {name}": partial(key_table, name) for name in TABLES},
    "template": template,
}
