"""Ways to damage a file of weights: any, and one of safetensors."""

from __future__ import annotations

import io
import json
import math
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from fuzz import documents
from fuzz.documents import NoPlaceError

Mutator = Callable[[Random, bytes], bytes]
"""Returns the content of a file, damaged."""

CODES = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2")


@dataclass(frozen=True, slots=True)
class Tensor:
    code: str
    shape: list[int]
    content: bytes


def truncate(rng: Random, content: bytes) -> bytes:
    return content[
        : rng.choice([rng.randrange(len(content) + 1), max(0, len(content) - 1), 7, 100])
    ]


def extend(rng: Random, content: bytes) -> bytes:
    return content + rng.choice([b"\0", b"\0" * 64, content, b"{}"])


def flip_bit(rng: Random, content: bytes) -> bytes:
    """Flip a bit anywhere."""
    return flip(rng, content, len(content))


def flip_early_bit(rng: Random, content: bytes) -> bytes:
    """Flip a bit where the headers are."""
    return flip(rng, content, min(len(content), 2048))


def become_foreign(rng: Random, content: bytes) -> bytes:
    """Be what a failed download leaves."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 10\n"
    page = b"<!DOCTYPE html><html><body>503</body></html>"
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    made = [b"", pointer, page, b"\0" * len(content), empty.getvalue(), pickle.dumps({}), b"PK\3\4"]
    return rng.choice(made)


def set_length(rng: Random, content: bytes) -> bytes:
    """Change the length that a safetensors header is said to have."""
    if len(content) < 8:
        raise NoPlaceError
    length = struct.unpack("<Q", content[:8])[0]
    wrong = [0, 1, length + 1, max(0, length - 1), 10**8, 10**8 + 1, 2**31, 2**63, 2**64 - 1]
    return struct.pack("<Q", rng.choice(wrong)) + content[8:]


def damage_header(rng: Random, content: bytes) -> bytes:
    """Damage the header of a safetensors file as any other JSON."""
    header, payload = split(content)
    change = rng.choice([*documents.CHANGES.values()])
    return _join(documents.damage(change, rng, json.dumps(header).encode()), payload)


def change_entry(rng: Random, content: bytes) -> bytes:
    """Change what a header says of one tensor, and nothing of the payload."""
    header, payload = split(content)
    names = [name for name in header if name != "__metadata__"]
    if not names:
        raise NoPlaceError
    entry = header[rng.choice(names)]
    other = header[rng.choice(names)]
    shape, (start, end) = entry["shape"], entry["data_offsets"]
    changes: list[dict[str, Any]] = [
        {"data_offsets": other["data_offsets"]},
        {"data_offsets": [start, end + 4]},
        {"data_offsets": [end, start]},
        {"data_offsets": [start + 2**40, end + 2**40]},
        {"dtype": rng.choice([*CODES, "F4", "C64", "", "float32"])},
        {"dtype": other["dtype"], "shape": other["shape"]},
        {"shape": shape[::-1]},
        {"shape": [*shape, 1]},
        {"shape": [math.prod(shape)]},
        {"shape": [2**62, 4, *shape]},
        {"shape": [-1, *shape[1:]]},
        {"shape": [0, *shape]},
    ]
    entry.update(rng.choice(changes))
    return _join(json.dumps(header).encode(), payload)


def change_tensors(rng: Random, content: bytes) -> bytes:
    """Write other tensors: a sound file, and not the one that it was."""
    metadata, tensors = read_tensors(content)
    if not tensors:
        raise NoPlaceError
    name = rng.choice([*tensors])
    rng.choice(TENSOR_CHANGES)(rng, tensors, name)
    return write_tensors(metadata, tensors)


def _drop(_: Random, tensors: dict[str, Tensor], name: str) -> None:
    del tensors[name]


def _rename(rng: Random, tensors: dict[str, Tensor], name: str) -> None:
    tensors[rng.choice([f"{name}x", f"model.{name}", name.replace(".0.", ".7."), ""])] = tensors[
        name
    ]
    del tensors[name]


def _exchange(rng: Random, tensors: dict[str, Tensor], name: str) -> None:
    other = rng.choice([*tensors])
    tensors[name], tensors[other] = tensors[other], tensors[name]


def _copy(rng: Random, tensors: dict[str, Tensor], name: str) -> None:
    tensors[rng.choice([f"{name}.copy", "lm_head.weight", "extra", "\x7f"])] = tensors[name]


def _recast(rng: Random, tensors: dict[str, Tensor], name: str) -> None:
    """Take the same bytes for another dtype of the same width."""
    widths = {
        "F32": ["I32"],
        "F16": ["BF16", "I16"],
        "BF16": ["F16"],
        "I64": ["F64"],
        "F64": ["I64"],
    }
    narrow = ["I8", "U8", "F8_E4M3", "F8_E5M2", "BOOL"]
    code = rng.choice(widths.get(tensors[name].code, narrow))
    tensors[name] = replace(tensors[name], code=code)


def _shorten(_: Random, tensors: dict[str, Tensor], name: str) -> None:
    """Take a row away."""
    tensor = tensors[name]
    if not tensor.shape or tensor.shape[0] < 1:
        raise NoPlaceError
    row = len(tensor.content) // tensor.shape[0]
    rows = tensor.shape[0] - 1
    tensors[name] = Tensor(tensor.code, [rows, *tensor.shape[1:]], tensor.content[: rows * row])


def _transpose(_: Random, tensors: dict[str, Tensor], name: str) -> None:
    tensors[name] = replace(tensors[name], shape=tensors[name].shape[::-1])


def _empty(_: Random, tensors: dict[str, Tensor], name: str) -> None:
    tensors[name] = Tensor(tensors[name].code, [0, *tensors[name].shape[1:]], b"")


def _fill(rng: Random, tensors: dict[str, Tensor], name: str) -> None:
    """Fill a tensor with one byte: zeros, NaN, numbers beyond a range."""
    byte = rng.choice([b"\0", b"\xff", b"\x7f", b"\x01", b"\x80"])
    tensors[name] = replace(tensors[name], content=byte * len(tensors[name].content))


TENSOR_CHANGES = (
    *(_drop, _rename, _exchange, _copy, _recast),
    *(_shorten, _transpose, _empty, _fill),
)


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the payload of a safetensors file."""
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise NoPlaceError from error
    if not isinstance(header, dict):
        raise NoPlaceError
    return header, content[8 + length :]


def read_tensors(content: bytes) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the metadata and the tensors of a safetensors file, in the order of its header."""
    header, payload = split(content)
    metadata = header.pop("__metadata__", {})
    try:
        return metadata, {
            name: Tensor(entry["dtype"], entry["shape"], payload[slice(*entry["data_offsets"])])
            for name, entry in header.items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise NoPlaceError from error


def write_tensors(metadata: dict[str, str], tensors: dict[str, Tensor]) -> bytes:
    """Return the safetensors file of some tensors."""
    header: dict[str, Any] = {"__metadata__": metadata}
    payload = b""
    for name, tensor in tensors.items():
        offsets = [len(payload), len(payload) + len(tensor.content)]
        header[name] = {"dtype": tensor.code, "shape": tensor.shape, "data_offsets": offsets}
        payload += tensor.content
    return _join(json.dumps(header).encode(), payload)


def _join(header: bytes, payload: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + payload


def flip(rng: Random, content: bytes, within: int, *, late: bool = False) -> bytes:
    if not content:
        raise NoPlaceError
    at = rng.randrange(within)
    at = len(content) - 1 - at if late else at
    return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]


ANY: dict[str, Mutator] = {
    mutator.__name__: mutator
    for mutator in (truncate, extend, flip_bit, flip_early_bit, become_foreign)
}
"""What can happen to every file."""

SAFETENSORS: dict[str, Mutator] = {
    mutator.__name__: mutator
    for mutator in (set_length, damage_header, change_entry, change_tensors)
}
