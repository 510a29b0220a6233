"""Usage errors: Typer's messages in plainer words, with a hint."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from quantcli.errors import did_you_mean
from quantcli.formats import WEIGHTS, canonical

if TYPE_CHECKING:
    import typer

_EXTRA = re.compile(r"Got unexpected extra argument\(s\) \((.*)\)", re.DOTALL)
_COMMAND = re.compile(r"No such command '(.*?)'\..*", re.DOTALL)
_NO_VALUE = re.compile(r"Option '(.*)' does not take a value\.")
_NEEDS_VALUE = re.compile(r"Option '(.*)' requires an argument\.")

_TAKES = {
    "quantize": "takes one MODEL",
    "size": "takes one MODEL: run it once for each",
    "compare": "takes two models: ORIGINAL QUANTIZED",
    "calibrate": "takes one MODEL, or files with --add",
    "explain": "takes one MODEL and one TENSOR",
    "inspect": "takes one DIR or MODEL, then names of tensors",
    "verify": "takes one DIR: run it once for each",
    "completion": "takes one SHELL",
    "dequantize": "takes one DIR",
    "tune": "takes one MODEL",
}

_TYPES = {"int": "a whole number", "float": "a number", "bool": "true or false"}
"""The start of the name of one of pydantic's type errors -> what the option takes."""


def explain(
    error: typer.TyperException, words: Sequence[str], commands: Collection[str]
) -> tuple[str, str]:
    """Return the message and the hint for an error; `words` are the arguments after `quantcli`."""
    # Typer does not name the command in every kind of error
    path = " ".join(["quantcli", *(word for word in words[:1] if word in commands)])
    help_hint = f"see {path} --help"
    message = error.message
    if found := _EXTRA.fullmatch(message):
        return f"unexpected argument: {found[1]}", _extra_hint(path, found[1])
    if found := _COMMAND.fullmatch(message):
        return f"no such command: {found[1]}", did_you_mean(found[1], commands)
    if found := _NO_VALUE.fullmatch(message):
        return f"{found[1]} takes no value", help_hint
    if found := _NEEDS_VALUE.fullmatch(message):
        return f"{found[1]} needs a value", help_hint
    return _parameter(error, help_hint)


def _extra_hint(path: str, extra: str) -> str:
    command = path.rpartition(" ")[2]
    dtype = canonical(extra)
    if command in ("quantize", "size") and dtype in WEIGHTS:
        return f"use -w {dtype}"
    if command in ("quantize", "dequantize") and " " not in extra:
        return f"use -o {extra}"
    return f"{path} {_TAKES.get(command, 'takes no such argument')}"


def _parameter(error: typer.TyperException, help_hint: str) -> tuple[str, str]:
    option = getattr(error, "option_name", None)
    if option is not None:
        near = getattr(error, "possibilities", None)
        return f"no such option: {option}", f"did you mean {min(near)}?" if near else help_hint
    parameter: Any = getattr(error, "param", None)
    if parameter is None:
        return error.format_message(), help_hint
    name = parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[-1]
    details: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    if details:
        return f"{name}: {_invalid(details[0])}", help_hint
    if not error.message:
        return f"missing {parameter.param_type_name}: {name}", help_hint
    return f"{name}: {error.message}", help_hint


def _invalid(detail: dict[str, Any]) -> str:
    """Return what is wrong with a value that pydantic refused."""
    kind, value = detail["type"], detail["input"]
    wanted = _TYPES.get(kind.partition("_")[0])
    if wanted:
        return f"{value} is not {wanted}"
    if kind == "greater_than_equal":
        return f"{value} is less than {detail['ctx']['ge']}"
    return f"{value}: {detail['msg']}"
