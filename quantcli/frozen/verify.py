"""Check a frozen directory against its manifest."""

from __future__ import annotations

import os
from pathlib import Path

from quantcli.frozen.manifest import files_below, read_manifest, sha256


def verify(folder: str | os.PathLike[str]) -> list[str]:
    """Compare every file with the sha256 that the manifest holds, and list what is wrong.

    Files that the manifest does not know are no fault unless they are weights.
    Raises `ModelError` where the folder is not a frozen directory.
    """
    recorded = read_manifest(folder)["files"]
    present = files_below(Path(folder))
    problems = [f"{name} is missing" for name in recorded if name not in present]
    for name, path in present.items():
        if name in recorded:
            problems += _compare(name, path, recorded[name])
        elif name.endswith(".safetensors"):
            problems.append(f"{name} is not in the manifest")
    return sorted(problems)


def _compare(name: str, path: Path, recorded: dict[str, object]) -> list[str]:
    size = path.stat().st_size
    if size != recorded["bytes"]:
        return [f"{name} has {size} bytes and must have {recorded['bytes']}"]
    if sha256(path) != recorded["sha256"]:
        return [f"{name} is not what was written: its sha256 differs"]
    return []
