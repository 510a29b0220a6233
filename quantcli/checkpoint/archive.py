"""The zip archive that `torch.save` writes: where each of its records is in the file.

Reads only the directory at the end of the archive, no payload. Records are uncompressed, and each
starts at a multiple of 64 bytes: `getPadding` in torch's caffe2/serialize/inline_container.cc.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

from quantcli.checkpoint.soundness import damaged
from quantcli.errors import ModelError

_LOCAL_HEADER = 30
"""Bytes of a record's header before its name and its extra field."""

_ALIGNMENT = 64

_ZIP64 = 0xFFFFFFFF

ReadAt = Callable[[int, int], bytes]
"""Reads `nbytes` of the file from `start`, given (start, nbytes)."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its name without the archive's folder, and its range of bytes in the file."""

    name: str
    offset: int
    nbytes: int


def list_records(file: str, stream: IO[bytes], read_at: ReadAt) -> dict[str, Record]:
    """Return the records of the archive in `stream`; `file` is its name in errors.

    Raises `ModelError` if the archive is damaged, or compressed so that torch cannot map it.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
            end = archive.start_dir
    # OSError and the others: a damaged directory makes zipfile read outside the file
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError) as error:
        raise damaged(file, error) from error
    _check_plain(file, infos, end)
    ends = [*(info.header_offset for info in infos[1:]), end]
    records = [
        Record(_inner_name(info), _data_offset(info, limit, read_at), info.file_size)
        for info, limit in zip(infos, ends, strict=True)
    ]
    _check_extents(file, records, end)
    return {record.name: record for record in records}


def _inner_name(info: zipfile.ZipInfo) -> str:
    return info.filename.partition("/")[2]


def _check_plain(file: str, infos: Iterable[zipfile.ZipInfo], end: int) -> None:
    names = set()
    for info in infos:
        name = _inner_name(info)
        if name in names:
            raise ModelError(f"{file} has two records named {name}")
        names.add(name)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ModelError(f"{file} is compressed: {name} cannot be mapped into memory")
        if not 0 <= info.header_offset <= info.header_offset + _LOCAL_HEADER <= end:
            raise ModelError(f"{file} is damaged: {name} is outside the file")


def _data_offset(info: zipfile.ZipInfo, limit: int, read_at: ReadAt) -> int:
    """Return where a record's bytes begin; `limit` is the offset of the next record's header."""
    expected = _aligned_offset(info)
    # after the payload: a data descriptor with sizes of 32 or 64 bits; none for an empty record
    if limit - expected - info.file_size in (0, 16, 24):
        return expected
    # not written by torch: the record's own header has the lengths, which needs one more read
    lengths = read_at(info.header_offset + 26, 4)
    name, extra = struct.unpack("<HH", lengths)
    return info.header_offset + _LOCAL_HEADER + int(name) + int(extra)


def _aligned_offset(info: zipfile.ZipInfo) -> int:
    """Return where torch puts the bytes of a record (its `getPadding`)."""
    start = info.header_offset + _LOCAL_HEADER + len(info.orig_filename.encode()) + 4
    if info.file_size >= _ZIP64 or info.header_offset >= _ZIP64:
        start += 4
        start += 16 if info.file_size >= _ZIP64 else 0
        start += 8 if info.header_offset >= _ZIP64 else 0
    return -(-start // _ALIGNMENT) * _ALIGNMENT


def _check_extents(file: str, records: list[Record], end: int) -> None:
    last = Record("its directory", end, 0)
    for record, following in pairwise([*records, last]):
        if record.offset + record.nbytes > following.offset:
            raise ModelError(f"{file} is damaged: {record.name} overlaps {following.name}")
