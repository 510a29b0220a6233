"""Ways to damage a .bin file, which `torch.save` writes: a zip archive with a pickle in it."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import zipfile
from random import Random
from typing import Any

from fuzz.documents import NoPlaceError
from fuzz.weights import Mutator, flip

EXECUTED = "EXECUTED"
"""The folder that the code in a pickle would make in the current one."""


def flip_late_bit(rng: Random, content: bytes) -> bytes:
    """Flip a bit where a zip archive has its directory."""
    return flip(rng, content, min(len(content), 4096), late=True)


def change_records(rng: Random, content: bytes) -> bytes:
    """Write other records into the zip archive of a .bin file."""
    records = _records(content)
    at = rng.randrange(len(records))
    name, record = records[at]
    inner = name.partition("/")[2]
    altered = {
        "drop": [],
        "empty": [(name, b"")],
        "cut": [(name, record[: len(record) // 2])],
        "twice": [(name, record), (name, record)],
        "rename": [(name + "0", record)],
        "flat": [(inner or "x", record)],
        "swap": [(name, records[0][1])],
        "script": [(name, record), (name.replace(inner, "constants.pkl"), b"\x80\x02).")],
        "order": [(name, record), (name.replace(inner, "byteorder"), b"big")],
    }
    records[at : at + 1] = altered[rng.choice(sorted(altered))]
    method = rng.choice([zipfile.ZIP_STORED] * 4 + [zipfile.ZIP_DEFLATED])
    return _archive(records, method)


def change_pickle(rng: Random, content: bytes) -> bytes:
    """Change an opcode, or what follows one, in the pickle of a .bin file."""
    records = _records(content)
    at = next((n for n, (name, _) in enumerate(records) if name.endswith("/data.pkl")), None)
    if at is None:
        raise NoPlaceError
    name, record = records[at]
    records[at] = (name, rng.choice([_other_opcode, _other_argument, _other_global])(rng, record))
    return _archive(records)


def run_code(rng: Random, content: bytes) -> bytes:
    """Put code into a .bin file that a careless reader would run."""
    evil = pickle.dumps({"weight": _Touch()}, protocol=2)
    if not content.startswith(b"PK"):
        return evil
    records = [
        (name, evil if name.endswith("/data.pkl") else record) for name, record in _records(content)
    ]
    return rng.choice([_archive(records), evil])


class _Touch:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (EXECUTED,)


def _other_opcode(rng: Random, record: bytes) -> bytes:
    """Put another opcode in the place of one."""
    codes = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
    position = rng.choice(_positions(record))
    return record[:position] + rng.choice(codes) + record[position + 1 :]


def _other_argument(rng: Random, record: bytes) -> bytes:
    """Flip a bit of what follows an opcode."""
    position = min(rng.choice(_positions(record)) + 1, len(record) - 1)
    return (
        record[:position]
        + bytes([record[position] ^ (1 << rng.randrange(8))])
        + record[position + 1 :]
    )


def _other_global(rng: Random, record: bytes) -> bytes:
    """Name another class or function."""
    known = [b"torch FloatStorage", b"torch._utils _rebuild_tensor_v2", b"collections OrderedDict"]
    wrong = [
        b"torch HalfStorage",
        b"torch nope",
        b"os system",
        b"builtins eval",
        b"torch.nn Linear",
    ]
    old = rng.choice(known).replace(b" ", b"\n")
    return record.replace(old, rng.choice(wrong).replace(b" ", b"\n"), 1)


def _positions(record: bytes) -> list[int]:
    try:
        return [position for _, _, position in pickletools.genops(record) if position is not None]
    except ValueError as error:  # damaged already
        raise NoPlaceError from error


def _records(content: bytes) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            records = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, RuntimeError) as error:
        raise NoPlaceError from error
    if not records:
        raise NoPlaceError
    return records


def _archive(records: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, record in records:
            info = zipfile.ZipInfo(name)  # of one date, unlike what `writestr` makes of a name
            info.compress_type = method
            if name not in archive.NameToInfo:
                archive.writestr(info, record)
                continue
            archive.NameToInfo.pop(name)  # else it warns of the second record of a name
            archive.writestr(info, record)
    return stream.getvalue()


TORCH: dict[str, Mutator] = {
    mutator.__name__: mutator
    for mutator in (flip_late_bit, change_records, change_pickle, run_code)
}
"""What can happen to a .bin file."""
