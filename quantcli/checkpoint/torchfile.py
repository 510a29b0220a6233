"""`pytorch_model.bin`: files of `torch.save`, read without ever running code from them.

Headers are read from a copy of the archive without payloads: `torch.load(weights_only=True)` loads
its pickle into fake tensors. So no value is read, from a disk or over a network, and torch's own
unpickler decides what is safe.
"""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from quantcli import dtypes
from quantcli.checkpoint.archive import Record, list_records
from quantcli.checkpoint.records import ModelFiles, TensorRecord
from quantcli.checkpoint.soundness import damaged, not_weights, truncated
from quantcli.checkpoint.window import BLOCK, Window
from quantcli.errors import ModelError
from quantcli.files import read_error
from quantcli.upstream.torch import checkpoint_offset, fake_tensors

if TYPE_CHECKING:
    import torch

_ZIP_MAGIC = b"PK\x03\x04"

_DAMAGE = (
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
)
"""What torch's reader and unpickler raise for damaged files."""


def read_records(files: ModelFiles, names: Sequence[str]) -> list[dict[str, TensorRecord]]:
    """Return the tensors of each of these .bin files, in its order.

    Reads only the directory and the pickle of a zip archive; a file from before torch 1.6 is
    downloaded and loaded whole. Raises `ModelError` if one is damaged, or holds more than tensors.
    """
    with ThreadPoolExecutor(max_workers=8) as pool:
        streams = list(pool.map(partial(_open, files), names))
    # Not in threads: fake tensors are a mode of the whole process.
    return [_read(files, *pair) for pair in zip(names, streams, strict=True)]


def _open(files: ModelFiles, file: str) -> IO[bytes]:
    local = files.cached(file)
    if local is not None:
        try:
            return local.open("rb")
        except OSError as error:
            raise read_error(error, local) from error
    window = Window(files, file)
    # The two ends: the pickle, or most of it, and the directory.
    window.read(BLOCK)
    window.seek(max(0, files.sizes[file] - BLOCK))
    window.read(BLOCK)
    window.seek(0)
    return io.BufferedReader(window)


def _read(files: ModelFiles, file: str, stream: IO[bytes]) -> dict[str, TensorRecord]:
    with stream:
        magic = stream.read(len(_ZIP_MAGIC))
        if magic == _ZIP_MAGIC:
            return _archive_records(file, stream)
        if not magic.startswith(pickle.PROTO):
            raise not_weights(file, magic + stream.read(64), "a file of torch.save")
    files.fetch([file])
    return dict(_legacy_records(file, load(files.path(file), file)))


def load(path: Path, file: str) -> dict[str, torch.Tensor]:
    """Return the tensors of the .bin file at `path`, mapped into memory where its format allows.

    `file` is its name in errors. Raises `ModelError` as `read_records` does.
    """
    with path.open("rb") as stream:
        mapped = stream.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
    return _load(file, path, mmap=mapped)


def _load(file: str, content: Path | IO[bytes], *, mmap: bool = False) -> dict[str, torch.Tensor]:
    import torch

    try:
        tensors = torch.load(content, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"unsafe: {file} holds more than tensors, and reading it could run code",
            hint="use a safetensors version of the model; nothing of this file was run",
        ) from error
    except _DAMAGE as error:
        raise damaged(file, error) from error
    return _check_tensors(file, tensors)


def _check_tensors(file: str, tensors: Any) -> dict[str, torch.Tensor]:
    import torch

    if not isinstance(tensors, dict):
        raise ModelError(f"{file} holds {type(tensors).__name__}, not tensors by name")
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            raise ModelError(f"{file} holds a tensor under {name!r}, which is not a name")
        if not isinstance(tensor, torch.Tensor):
            raise ModelError(
                f"{file} holds more than tensors by name: {name!r} is {type(tensor).__name__}",
                hint="save the model's state_dict itself",
            )
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise ModelError(f"{file}: tensor {name!r} is sparse or quantized: not supported")
        if dtypes.dtype_name(tensor.dtype) not in dtypes.SIZES:
            raise ModelError(
                f"{file}: tensor {name!r} has an unknown dtype: {dtypes.dtype_name(tensor.dtype)}"
            )
    return tensors


def _archive_records(file: str, stream: IO[bytes]) -> dict[str, TensorRecord]:
    def read_at(start: int, nbytes: int) -> bytes:
        stream.seek(start)
        content = stream.read(nbytes)
        if len(content) < nbytes:
            raise truncated(file, nbytes - len(content))
        return content

    records = list_records(file, stream, read_at)
    if "data.pkl" not in records:
        raise ModelError(f"{file} is a zip archive, but not one that torch.save wrote")
    if "constants.pkl" in records:
        raise ModelError(f"{file} is a TorchScript program, not weights")
    pickled = read_at(records["data.pkl"].offset, records["data.pkl"].nbytes)
    copy, storages = _without_payload(pickled, records)
    order = records.get("byteorder")
    swapped = order is not None and read_at(order.offset, order.nbytes) != sys.byteorder.encode()
    with fake_tensors():
        tensors = _load(file, copy)
    return {
        name: _record(file, name, tensor, storages, strided=swapped)
        for name, tensor in tensors.items()
    }


def _without_payload(
    pickled: bytes, records: dict[str, Record]
) -> tuple[IO[bytes], dict[int, Record]]:
    """Return an archive with the same pickle and empty storages, and its storages by offset."""
    stream = io.BytesIO()
    storages = {}
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", b"3\n")
        for record in records.values():
            if record.name.startswith("data/"):
                archive.writestr(f"archive/{record.name}", b"")
                storages[stream.tell()] = record
    stream.seek(0)
    return stream, storages


def _record(
    file: str, name: str, tensor: torch.Tensor, storages: dict[int, Record], *, strided: bool
) -> TensorRecord:
    storage = tensor.untyped_storage()
    record = storages[checkpoint_offset(tensor)]
    if storage.nbytes() != record.nbytes:
        raise ModelError(
            f"{file}: the storage of tensor {name!r} has {record.nbytes:,} bytes "
            f"where {storage.nbytes():,} are needed"
        )
    return TensorRecord(
        name=name,
        file=file,
        dtype=dtypes.dtype_name(tensor.dtype),
        shape=tuple(tensor.shape),
        offset=record.offset + int(tensor.storage_offset()) * tensor.element_size(),
        nbytes=tensor.numel() * tensor.element_size(),
        strided=strided or not tensor.is_contiguous(),
    )


def _legacy_records(
    file: str, tensors: dict[str, torch.Tensor]
) -> Iterator[tuple[str, TensorRecord]]:
    # The format has no offsets; these only say which tensors share a storage.
    bases: dict[int, int] = {}
    end = 0
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in bases:
            bases[storage.data_ptr()] = end
            end += max(storage.nbytes(), 1)
        base = bases[storage.data_ptr()]
        yield (
            name,
            TensorRecord(
                name=name,
                file=file,
                dtype=dtypes.dtype_name(tensor.dtype),
                shape=tuple(tensor.shape),
                offset=base + int(tensor.storage_offset()) * tensor.element_size(),
                nbytes=tensor.numel() * tensor.element_size(),
                strided=True,
            ),
        )
