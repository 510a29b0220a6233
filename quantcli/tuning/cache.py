"""What a search measured, kept in a file: damages and metrics do not depend on what is wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from quantcli.errors import ModelError
from quantcli.files import parse_json, read_error, write_report

VERSION = 1

_DIFFERENCES = {
    "fingerprint": "another model",
    "calibration": "another calibration",
    "samples": "other samples",
    "task": "another task",
    "versions": "other versions of packages",
}
"""The keys of a header, and what is said if one differs."""

_AGAIN = "give another --cache FILE, or delete this one to measure again"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheKey:
    """What measurements depend on: the model, the second moments, and the samples of the search.

    `fingerprint` is that of the checkpoint, `calibration` the hash of the calibration, `samples`
    that of the samples that groups are measured on.
    """

    model: str
    fingerprint: str
    calibration: str
    samples: str
    task: str
    versions: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the key as JSON-able data."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "versions": dict(self.versions)
        }


@dataclass(slots=True, kw_only=True)
class Measured:
    """The damage of each module and the metrics of each group, by candidate and optimizer.

    `reference` are the metrics of the original against itself: the best that there are.
    """

    damages: dict[str, dict[str, float]] = field(default_factory=dict)
    groups: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    reference: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the measurements as JSON-able data."""
        return {"damages": self.damages, "groups": self.groups, "reference": self.reference}

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Return the measurements in a file's values. Raises `ValueError` if they are not valid."""
        return cls(
            damages={m: _numbers(v) for m, v in _table(values["damages"]).items()},
            groups={
                group: {key: _numbers(v) for key, v in _table(keys).items()}
                for group, keys in _table(values["groups"]).items()
            },
            reference=_numbers(values["reference"]),
        )


def load_cache(path: Path, key: CacheKey) -> Measured:
    """Return what a file holds for this key; nothing if there is no file yet.

    Raises `ModelError` if it is of another model, other samples or another calibration, or damaged.
    """
    found = _read(path)
    if found is None:
        return Measured()
    header, measured = found
    own = key.to_dict()
    for name, what in _DIFFERENCES.items():
        if header.get(name) != own[name]:
            raise ModelError(f"{path} was measured with {what}", hint=_AGAIN)
    return measured


def check_cache(path: Path, model: str, fingerprint: str) -> None:
    """Raise `ModelError` if a file is damaged, or of another model; it need not exist."""
    found = _read(path)
    if found is not None and found[0].get("fingerprint") != fingerprint:
        other = found[0].get("model")
        raise ModelError(f"{path} is of another model: {other}, not {model}", hint=_AGAIN)


def _read(path: Path) -> tuple[Mapping[str, Any], Measured] | None:
    """Return header and measurements in a file, None without one."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise read_error(error, path) from error
    try:
        values = parse_json(raw)
        header, version = _table(values["header"]), values["version"]
        if version != VERSION:
            raise ModelError(f"{path} has format version {version}, not {VERSION}", hint=_AGAIN)
        return header, Measured.parse(values)
    except (ValueError, KeyError, TypeError) as error:
        problem = error.args[0] if isinstance(error, ValueError) else "keys are missing"
        raise ModelError(f"{path} is not a cache of tune: {problem}", hint=_AGAIN) from error


def save_cache(path: Path, key: CacheKey, measured: Measured) -> None:
    """Write the measurements, whole or not at all. Raises `MachineError`."""
    values = {
        "version": VERSION,
        "header": key.to_dict(),
        **measured.to_dict(),
    }
    write_report(path, json.dumps(values, indent=1) + "\n")


def _table(values: Any) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise TypeError("not a table")
    return values


def _numbers(values: Any) -> dict[str, float]:
    return {str(name): float(number) for name, number in _table(values).items()}
