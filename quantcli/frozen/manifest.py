"""The manifest of a frozen directory, `quantcli.json`: its source and its contents."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantcli.errors import ModelError
from quantcli.files import read_json, reason
from quantcli.mark import MANIFEST, SECTION, is_ours

FORMAT_VERSION = 1


def is_frozen(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder is a frozen directory, judged by its manifest, else by its config.

    A frozen directory without a manifest can be loaded, but not verified or sized.
    """
    return (Path(folder) / MANIFEST).is_file() or _has_section(Path(folder))


def _has_section(folder: Path) -> bool:
    try:
        config = read_json(folder / "config.json")
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and is_ours(config.get(SECTION))


def read_manifest(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the manifest of a frozen directory.

    Raises `ModelError` if there is none, or if this version cannot read it.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = read_json(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _no_manifest(folder) from error
    except OSError as error:
        raise ModelError(f"cannot read {path}: {reason(error)}") from error
    except ValueError as error:
        raise ModelError(f"cannot read {path}: it {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format_version") != FORMAT_VERSION:
        raise ModelError(
            f"this version of quantcli cannot read the format of {path}",
            hint="upgrade quantcli, or quantize the original again",
        )
    if not _is_whole(manifest):
        raise ModelError(f"{path} is damaged", hint="quantize the original again")
    return manifest


def read_components(
    manifest: Mapping[str, Any], folder: str | os.PathLike[str]
) -> list[dict[str, Any]]:
    """Return the totals of the components of a pipeline; none of a model.

    `folder` is where the manifest is. Raises `ModelError` if they are damaged.
    """
    found: Any = manifest.get("components", [])
    texts, numbers = ("name", "architecture"), ("parameters", "bytes", "tensors_quantized")
    try:
        whole = all(
            all(isinstance(each[key], str) for key in texts)
            and all(isinstance(each[key], int) for key in numbers)
            and all(isinstance(each[key], int | float) for key in ("ratio", "coverage"))
            and isinstance(each["original"]["bytes"], int)
            for each in found
        )
    except (AttributeError, KeyError, TypeError):
        whole = False
    if not whole:
        raise ModelError(
            f"{Path(folder) / MANIFEST} is damaged", hint="quantize the original again"
        )
    return [*found]


def _no_manifest(folder: str | os.PathLike[str]) -> ModelError:
    if _has_section(Path(folder)):
        return ModelError(
            f"{folder} is a frozen directory without {MANIFEST}, "
            "which holds its sizes and checksums",
            hint=f"copy {MANIFEST} too, or quantize the original again",
        )
    return ModelError(
        f"{folder} is not a frozen directory: it has no {MANIFEST}",
        hint="make one: quantcli quantize MODEL -o DIR",
    )


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Return whether a manifest has the entries that are read from it, in the right types."""
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
    """Return the files of a frozen directory except its manifest: POSIX name -> path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path for name, path in names.items() if name != MANIFEST}


def file_records(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the manifest's entries for the files: the size and the checksum of each."""
    files = files_below(folder).items()
    return {name: file_record(path) for name, path in files if not name.startswith(".")}


def file_record(path: Path) -> dict[str, Any]:
    """Return the manifest's entry for one file."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}
