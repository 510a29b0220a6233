"""The manifest of a frozen directory, `quantcli.json`: where it comes from and what is in it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from quantcli.errors import ModelError

MANIFEST = "quantcli.json"
FORMAT_VERSION = 1


def is_frozen(folder: str | os.PathLike[str]) -> bool:
    """Tell whether a folder is a frozen directory."""
    return (Path(folder) / MANIFEST).is_file()


def read_manifest(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the manifest of a frozen directory.

    Raises `ModelError` where there is none, or none that this version reads.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(
            f"{folder} is not a frozen directory: it has no {MANIFEST}",
            hint="make one with quantcli quantize",
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format_version") != FORMAT_VERSION:
        raise ModelError(
            f"{path} is of a format that this version does not read",
            hint="upgrade quantcli, or quantize the original again",
        )
    if not _is_whole(manifest):
        raise ModelError(f"{path} is damaged", hint="quantize the original again")
    return manifest


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Tell whether a manifest holds what is read of it."""
    try:
        found = manifest["footprint"]
        totals = [found[key] for key in ("parameters", "tensors_quantized", "ratio", "coverage")]
        totals += [found["quantized"]["bytes"], *found["original"]["dtypes"].values()]
        texts = [manifest["weights"], manifest["source"]["revision"] or ""]
        for entry in manifest["files"].values():
            totals.append(entry["bytes"])
            texts.append(entry["sha256"])
    except (AttributeError, KeyError, TypeError):
        return False
    numbers = all(isinstance(total, int | float) for total in totals)
    return numbers and all(isinstance(text, str) for text in texts)


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_below(folder: Path) -> dict[str, Path]:
    """List the files of a frozen directory but its manifest, by their POSIX name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path for name, path in names.items() if name != MANIFEST}


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON, whole or not at all."""
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
