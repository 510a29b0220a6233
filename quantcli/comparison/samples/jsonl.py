"""Samples in a file of JSON lines: objects with the fields text, image, audio and target."""

from __future__ import annotations

import json
from pathlib import Path

from quantcli.comparison.samples.given import GivenSample, is_unicode
from quantcli.errors import UsageError, did_you_mean
from quantcli.files import read_error
from quantcli.paths import expand

KINDS = ("text", "image", "audio")
FIELDS = (*KINDS, "target")


def read_data(path: str) -> list[GivenSample]:
    """Return the samples of every line. Paths in it are relative to the folder of the file.

    Does not read the files it names. Raises `UsageError` with the number of an invalid line.
    """
    found: list[GivenSample] = []
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            where = f"{path} line {number}"
            found += _samples(_parse(line, where), where, Path(path).parent)
    if not found:
        raise UsageError(f"{path} contains no samples", hint='a line is like {"text": "Hello"}')
    return found


def _lines(path: str) -> list[bytes]:
    try:
        return Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise read_error(error, path, UsageError) from error
    except ValueError as error:  # a null character is in no file's name
        raise UsageError(f"no such file: {path}") from error


def _parse(line: bytes, where: str) -> dict[str, str]:
    try:
        entry = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 text (at byte {error.start})") from error
    except json.JSONDecodeError as error:
        message = f"{where}: not JSON: {error.msg} at column {error.colno}"
        raise UsageError(message) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not JSON: {error}") from error
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: not an object", hint='a line is like {"text": "Hello"}')
    _check_fields(entry, where)
    return entry


def _check_fields(entry: dict[str, object], where: str) -> None:
    for name, value in entry.items():
        if name not in FIELDS:
            raise UsageError(f"{where}: unknown field: {name}", hint=did_you_mean(name, FIELDS))
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"{where}: {name} must be a text that is not empty")
        if not is_unicode(value):
            raise UsageError(f"{where}: {name} contains half a surrogate pair")
    if not entry.keys() - {"target"}:
        raise UsageError(f"{where}: no text, image or audio")


def _samples(entry: dict[str, str], where: str, folder: Path) -> list[GivenSample]:
    return [
        GivenSample(
            kind=kind,
            name=where,
            where=where,
            content=entry[kind] if kind == "text" else str(folder / expand(entry[kind])),
            target=entry.get("target"),
        )
        for kind in KINDS
        if kind in entry
    ]
