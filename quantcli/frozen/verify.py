"""Check a frozen directory against its manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from quantcli.checkpoint.records import WEIGHT_SUFFIXES
from quantcli.files import reason
from quantcli.frozen.manifest import files_below, read_manifest, sha256
from quantcli.text import some

SHOWN = 5
"""Maximum problems in an error message; the JSON output has all."""

_ADDED = " was added"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The result of a check.

    `files` is the number of files in the manifest; `added` are files that are not in it, and
    harmless.
    """

    files: int
    problems: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def listed(self) -> str:
        """The problems in one line, the first few of many."""
        return some(self.problems, SHOWN, separator="; ")

    @property
    def hint(self) -> str:
        """What to do about the problems."""
        if all(problem.endswith(_ADDED) for problem in self.problems):
            return "delete the added files"
        return "quantize the original again"


def verify(folder: str | os.PathLike[str]) -> list[str]:
    """Compare every file with the manifest, and return the problems.

    Raises `ModelError` if the folder is not a frozen directory.
    """
    return list(check(folder).problems)


def check(folder: str | os.PathLike[str]) -> Verification:
    """Compare every file with its sha256 in the manifest.

    An added file is a problem if a loader would take it for weights or code. Raises `ModelError` if
    the folder is not a frozen directory.
    """
    recorded: Mapping[str, Any] = read_manifest(folder)["files"]
    present = files_below(Path(folder))
    added = [name for name in present if name not in recorded]
    problems = [f"{name} is missing" for name in recorded if name not in present]
    problems += [f"{name}{_ADDED}" for name in added if _is_harmful(name)]
    for name, path in present.items():
        if name in recorded:
            problems += _compare(name, path, recorded[name])
    return Verification(
        files=len(recorded),
        problems=tuple(sorted(problems)),
        added=tuple(name for name in added if not _is_harmful(name) and not _is_hidden(name)),
    )


def _is_harmful(name: str) -> bool:
    """Return whether a loader would take a file for weights, code or an adapter."""
    return name.endswith((*WEIGHT_SUFFIXES, ".py")) or name == "adapter_config.json"


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def _compare(name: str, path: Path, recorded: Mapping[str, Any]) -> list[str]:
    try:
        size = path.stat().st_size
        if size != recorded["bytes"]:
            return [f"{name} has changed ({size:,} bytes instead of {recorded['bytes']:,})"]
        if sha256(path) != recorded["sha256"]:
            return [f"{name} has changed (checksum mismatch)"]
    except OSError as error:
        return [f"{name} cannot be read ({reason(error)})"]
    return []
