"""Which folders `dequantize` may replace: frozen directories, and what it wrote itself."""

from __future__ import annotations

import struct
from pathlib import Path

from quantcli.checkpoint.headers import MAX_HEADER
from quantcli.checkpoint.records import PIPELINE
from quantcli.files import parse_json
from quantcli.frozen.manifest import is_frozen

MADE_BY = {"dequantized_by": "quantcli"}
"""What the headers of the weight files say besides their format."""


def is_replaceable(folder: Path) -> bool:
    """Return whether a folder is a frozen directory, or a checkpoint that was dequantized.

    That is judged by all weight files in it; in a pipeline, by those of its components.
    """
    pattern = "*/*.safetensors" if (folder / PIPELINE).is_file() else "*.safetensors"
    files = [*folder.glob(pattern)]
    return is_frozen(folder) or any(map(_is_marked, files))


def _is_marked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = parse_json(file.read(length)) if length <= MAX_HEADER else None
    except (OSError, ValueError, struct.error):
        return False
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return isinstance(metadata, dict) and MADE_BY.items() <= metadata.items()
