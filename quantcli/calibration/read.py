"""Read a calibration file: its header at once, its moments when they are needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.calibration.header import AGAIN, Header, parse_metadata
from quantcli.calibration.names import COUNTS, MAXIMUM, MOMENT, ROWS, stored_name
from quantcli.checkpoint.fingerprint import fingerprint
from quantcli.checkpoint.folder import read_file_range
from quantcli.checkpoint.headers import read_header
from quantcli.errors import ModelError
from quantcli.files import parse_json, read_error

if TYPE_CHECKING:
    import torch

    from quantcli.checkpoint import Checkpoint, TensorRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The second moments of one weight, without their values.

    There are `matrices` of them, each (columns, columns), and `rows` says how many inputs each is
    the sum of. `name` is the weight under which they are stored.
    """

    name: str
    matrices: int
    columns: int
    rows: tuple[int, ...]


class Calibration:
    """A calibration file. `open_calibration` makes it."""

    def __init__(self, path: Path, header: Header, tensors: Mapping[str, TensorRecord]) -> None:
        self.path = path
        self.header = header
        self._tensors = tensors

    @cached_property
    def sha256(self) -> str:
        """The sha256 of the file, in hex. Reads all of it."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @cached_property
    def moments(self) -> dict[str, Moment]:
        """The moments of every weight that has some, by the name of the weight."""
        owners = {owner: self._moment(owner) for owner in set(self.header.weights.values())}
        return {
            weight: moment
            for weight, owner in self.header.weights.items()
            if (moment := owners[owner]) is not None
        }

    def check(self, checkpoint: Checkpoint) -> None:
        """Raise `ModelError` if it was not made from a checkpoint, which must have been fetched."""
        if self.header.fingerprint != fingerprint(checkpoint):
            raise ModelError(
                f"{self.path} was made from {self.header.origin}, whose weights are not those of "
                f"{checkpoint.model}",
                hint=f"calibrate this model: quantcli calibrate {checkpoint.model} -o FILE",
            )

    def described(self) -> dict[str, Any]:
        """Return what a manifest says of it: its sha256, its samples, what ran the model."""
        header = self.header.model_dump(include={"task", "samples", "versions"})
        return {"sha256": self.sha256, **header}

    def unreached(self) -> tuple[str, ...]:
        """Return the names of the weights that no sample reached, in none of their matrices."""
        return tuple(name for name, moment in self.moments.items() if not any(moment.rows))

    def moment(self, owner: str, matrix: int) -> torch.Tensor:
        """Return one second moment, (columns, columns) in float32, mapped into memory.

        Raises `ModelError` if it is not finite.
        """
        found = self._read(stored_name(owner, MOMENT))[matrix]
        if not found.diagonal().isfinite().all() or not found.sum().isfinite():
            raise self._damaged(f"the moment of {owner} has values that are not finite")
        return found

    def maximum(self, owner: str) -> torch.Tensor:
        """Return the largest |x| of each channel, (matrices, columns) in float32."""
        return self._read(stored_name(owner, MAXIMUM))

    def counts(self, weight: str) -> torch.Tensor | None:
        """Return how often each row of a table was looked up, (rows,) in int64; None if never."""
        name = stored_name(self.header.weights.get(weight, weight), COUNTS)
        return self._read(name) if name in self._tensors else None

    def record(self, weight: str, what: str) -> TensorRecord | None:
        """Return the record of one tensor of a weight, None if it has none."""
        owner = self.header.weights[weight]
        return self._tensors.get(stored_name(owner, what))

    def tensor(self, weight: str, what: str) -> torch.Tensor:
        """Return one tensor of a weight, mapped into memory. Raises `ModelError` without one."""
        return self._read(stored_name(self.header.weights[weight], what))

    def _moment(self, owner: str) -> Moment | None:
        record = self._tensors.get(stored_name(owner, MOMENT))
        if record is None:
            return None
        matrices, columns = self._check(record)
        rows = tuple(self._read(stored_name(owner, ROWS)).tolist())
        if len(rows) != matrices or min(rows) < 0:
            raise self._damaged(f"{stored_name(owner, ROWS)} does not fit its moments")
        return Moment(name=owner, matrices=matrices, columns=columns, rows=rows)

    def _check(self, record: TensorRecord) -> tuple[int, int]:
        shape = record.shape
        if len(shape) != 3 or shape[1] != shape[2] or record.dtype != "float32" or not shape[0]:
            raise self._damaged(f"{record.name} is {record.dtype} {list(shape)}")
        return shape[0], shape[1]

    def _read(self, name: str) -> torch.Tensor:
        from safetensors import safe_open

        if name not in self._tensors:
            raise self._damaged(f"it has no {name}")
        with safe_open(self.path, framework="pt") as file:
            tensor: torch.Tensor = file.get_tensor(name)
        return tensor

    def _damaged(self, problem: str) -> ModelError:
        return ModelError(f"{self.path} is damaged: {problem}", hint=AGAIN)


def open_calibration(path: str | os.PathLike[str]) -> Calibration:
    """Open a calibration file; reads its header.

    Raises `ModelError` if there is no such file, or if it is damaged, truncated or something else;
    `MachineError` without permission to read it.
    """
    found = Path(path)
    try:
        size = found.stat().st_size
        is_file = found.is_file()
    except OSError as error:
        raise read_error(error, found) from error
    if not is_file:
        raise ModelError(f"{found} is not a file", hint=AGAIN)
    name = str(found)

    def read_range(file: str, start: int, nbytes: int) -> bytes:
        return read_file_range(found, file, start, nbytes)

    try:
        tensors = read_header(name, size, read_range)
    except ModelError as error:
        raise ModelError(error.message, hint=AGAIN) from error
    length = int.from_bytes(read_range(name, 0, 8), "little")
    metadata = parse_json(read_range(name, 8, length)).get("__metadata__") or {}
    header = parse_metadata(metadata, where=name)
    calibration = Calibration(found, header, tensors)
    missing = [owner for owner in header.weights.values() if not _has(tensors, owner)]
    if missing:
        raise ModelError(f"{name} is damaged: it has nothing for {missing[0]}", hint=AGAIN)
    return calibration


def _has(tensors: Mapping[str, TensorRecord], owner: str) -> bool:
    return any(stored_name(owner, what) in tensors for what in (MOMENT, COUNTS))
