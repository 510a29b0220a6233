"""Checkpoints on disk, made of a few bytes, sound or not."""

from __future__ import annotations

import json
import struct
from pathlib import Path


def pack(header, payload=b"", *, length=None):
    """Return a safetensors file of any header, sound or not."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + payload


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def write(folder: Path, files: dict[str, bytes | str | dict]) -> Path:
    """Write files, making their folders; a dict is written as JSON."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content) if isinstance(content, dict) else content
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def weights(**shapes):
    """Return a sound safetensors file of float32 tensors, counting up byte by byte."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = entry(list(shape), at, at + size)
        at += size
    return pack(header, (bytes(range(251)) * (at // 251 + 1))[:at])
