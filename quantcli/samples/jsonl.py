"""Samples in a file of JSON lines: one object a line, with text, image, audio and target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from quantcli.errors import MachineError, UsageError, did_you_mean
from quantcli.samples.data import Item
from quantcli.samples.files import read_audio, read_image

FIELDS = ("text", "image", "audio", "target")


def read_data(path: str) -> dict[str, list[Item]]:
    """Return the items of each kind; files are relative to that of the lines.

    Raises `UsageError` with the number of the line that is wrong.
    """
    found: dict[str, list[Item]] = {"text": [], "image": [], "audio": []}
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            where = f"{path} line {number}"
            for kind, item in _items(_parse(line, where), where, Path(path).parent):
                found[kind].append(item)
    if not any(found.values()):
        raise UsageError(f"{path} holds no samples", hint='a line is like {"text": "Hello"}')
    return found


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8-sig").split("\n")
    except PermissionError as error:
        raise MachineError(f"no permission to read {path}") from error
    except FileNotFoundError as error:
        raise UsageError(f"no such file: {path}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (at byte {error.start})") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {path}: {reason}") from error


def _parse(line: str, where: str) -> dict[str, str]:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        message = f"{where}: not JSON: {error.msg} at column {error.colno}"
        raise UsageError(message) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not JSON: {error}") from error
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: not an object", hint='a line is like {"text": "Hello"}')
    for name, value in entry.items():
        if name not in FIELDS:
            raise UsageError(f"{where}: unknown field: {name}", hint=did_you_mean(name, FIELDS))
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"{where}: {name} must be text that is not empty")
    if not entry.keys() - {"target"}:
        raise UsageError(f"{where}: no text, image or audio")
    return entry


def _items(entry: dict[str, str], where: str, folder: Path) -> list[tuple[str, Item]]:
    readers: dict[str, Any] = {
        "text": lambda text: text,
        "image": lambda name: read_image(str(folder / name)),
        "audio": lambda name: read_audio(str(folder / name)),
    }
    try:
        return [
            (kind, Item(name=where, value=read(entry[kind]), target=entry.get("target")))
            for kind, read in readers.items()
            if kind in entry
        ]
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from error
