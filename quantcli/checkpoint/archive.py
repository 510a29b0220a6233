"""The zip archive that `torch.save` writes: where each of its records is in the file.

Only the directory at the end of the archive is read, and never a payload. Records are stored as
they are, each starting at a multiple of 64 bytes: `getPadding` in torch's
caffe2/serialize/inline_container.cc.
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
"""Bytes of a record's header, before its name and its extra field."""

_ALIGNMENT = 64

_ZIP64 = 0xFFFFFFFF

ReadAt = Callable[[int, int], bytes]
"""Reads (start, nbytes) of the file."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the archive: its name without the archive's folder, and its bytes."""

    name: str
    offset: int
    nbytes: int


def list_records(file: str, stream: IO[bytes], read_at: ReadAt) -> dict[str, Record]:
    """Return the records of the archive in `stream`, called `file` in errors.

    Raises `ModelError` if it is damaged, or if torch could not map it into memory.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
            end = archive.start_dir
    # A damaged directory makes zipfile seek to places that do not exist: OSError.
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
    """Return the offset of a record's bytes; `limit` is that of the next record's header."""
    expected = _aligned_offset(info)
    # Bytes after the payload: a data descriptor, of 32 or of 64 bits; none for an empty record.
    if limit - expected - info.file_size in (0, 16, 24):
        return expected
    # Not as torch writes it. The header itself says it, which needs one more read.
    lengths = read_at(info.header_offset + 26, 4)
    name, extra = struct.unpack("<HH", lengths)
    return info.header_offset + _LOCAL_HEADER + int(name) + int(extra)


def _aligned_offset(info: zipfile.ZipInfo) -> int:
    """Return the offset at which torch writes the bytes of a record: its `getPadding`."""
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
