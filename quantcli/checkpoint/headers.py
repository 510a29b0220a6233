"""Headers of safetensors files, read and checked.

Format: 8 bytes with the length of the header (little-endian), the header as a JSON object of
`name: {"dtype", "shape", "data_offsets": [begin, end]}` with offsets relative to the end of the
header, then the payload. https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

from quantcli import dtypes
from quantcli.checkpoint.jsonfile import parse_object
from quantcli.checkpoint.records import TensorRecord
from quantcli.checkpoint.soundness import not_weights, truncated
from quantcli.errors import ModelError

MAX_HEADER = 100_000_000
"""Bytes: the limit of the safetensors library itself."""

GUESS = 128 * 1024
"""Bytes to read first: most headers are smaller."""

ReadRange = Callable[[str, int, int], bytes]
"""Reads (file, start, nbytes)."""


def read_header(
    file: str, size: int, read_range: ReadRange, *, guess: int = GUESS
) -> dict[str, TensorRecord]:
    """Return the tensors of a safetensors file, in the order in which `safe_open` lists them.

    `size` is the file's, in bytes; one call of `read_range` is enough where the header fits in
    `guess` bytes. Raises `ModelError` for anything that is not sound.
    """
    if size < 8:
        raise truncated(file, 8 - size, "in its header")
    start = read_range(file, 0, min(size, max(guess, 8)))
    length: int = struct.unpack_from("<Q", start)[0]
    if length > MAX_HEADER:
        raise not_weights(file, start, "a safetensors file: its header is too long")
    if 8 + length > size:
        raise truncated(file, 8 + length - size, "in its header")
    if 8 + length > len(start):
        start += read_range(file, len(start), 8 + length - len(start))
    return parse_header(file, start[8 : 8 + length], payload=size - 8 - length)


def parse_header(file: str, text: bytes, *, payload: int) -> dict[str, TensorRecord]:
    """Return the tensors that a header names, given the bytes that follow it in the file.

    Sorted by name, as `safe_open(...).keys()` is. Raises `ModelError` for anything not sound.
    """
    header = parse_object(text, where=f"the header of {file}", unique_keys=True)
    _check_metadata(file, header.pop("__metadata__", None))
    base = 8 + len(text)
    records = [_record(file, name, header[name], base) for name in sorted(header)]
    _check_extents(file, records, begin=base, end=base + payload)
    return {record.name: record for record in records}


def _check_metadata(file: str, metadata: Any) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ModelError(f"the header of {file} has a __metadata__ that is not strings by name")


def _record(file: str, name: str, entry: Any, base: int) -> TensorRecord:
    where = f"the header of {file}: tensor {name!r}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ModelError(f"{where} must have exactly dtype, shape and data_offsets")
    if any("\ud800" <= char <= "\udfff" for char in name):
        raise ModelError(f"{where} has a name that is not Unicode text")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in dtypes.SAFETENSORS:
        raise ModelError(
            f"{where} has an unknown dtype: {code}", hint=f"known: {', '.join(dtypes.SAFETENSORS)}"
        )
    if not _naturals(shape):
        raise ModelError(f"{where} has a shape that is not a list of sizes: {shape}")
    if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ModelError(f"{where} has data_offsets that are not a range: {offsets}")
    dtype = dtypes.SAFETENSORS[code]
    nbytes = offsets[1] - offsets[0]
    expected = math.prod(shape) * dtypes.SIZES[dtype]
    if nbytes != expected:
        raise ModelError(f"{where} has {nbytes:,} bytes where {code} {shape} needs {expected:,}")
    return TensorRecord(
        name=name,
        file=file,
        dtype=dtype,
        shape=tuple(shape),
        offset=base + offsets[0],
        nbytes=nbytes,
    )


def _naturals(value: Any) -> bool:
    # `type`, because True is an int too.
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _check_extents(file: str, records: list[TensorRecord], *, begin: int, end: int) -> None:
    """Raise `ModelError` if tensors overlap, leave a gap, or do not end where the file ends."""
    at = begin
    for record in sorted(records, key=lambda record: (record.offset, record.nbytes)):
        if record.offset < at:
            raise ModelError(f"the header of {file}: tensor {record.name!r} overlaps another")
        if record.offset > at:
            gap = record.offset - at
            raise ModelError(
                f"the header of {file}: {gap:,} bytes before {record.name!r} belong to no tensor"
            )
        at += record.nbytes
    if at > end:
        raise truncated(file, at - end, "in its payload")
    if at < end:
        raise ModelError(f"{file} has {end - at:,} extra bytes after its last tensor")
