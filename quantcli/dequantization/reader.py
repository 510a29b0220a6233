"""Read a frozen directory a few rows at a time, without building its model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import torch

from quantcli.checkpoint import Checkpoint, TensorRecord, open_checkpoint
from quantcli.dequantization.entries import FrozenEntry, make_entries
from quantcli.dequantization.listed import read_listed
from quantcli.dequantization.values import EntryRows, rows_of
from quantcli.errors import UsageError, did_you_mean
from quantcli.execute.reading import FileReader, open_weights
from quantcli.execute.workspace import Workspace
from quantcli.frozen.manifest import read_manifest
from quantcli.loading.inventory import check_inventory
from quantcli.loading.model import read_frozen_config
from quantcli.mark import MANIFEST, SECTION

BLOCK_BYTES = 1024 * 1024
"""Bytes of a block, dequantized: it stays in cache. A block has at least one row."""


class FrozenReader:
    """The entries of a frozen directory and their values. A context manager; threads may share it.

        with FrozenReader(folder) as reader:
            for name, entry in reader.entries.items():
                for block in reader.blocks(name): ...

    Rows are those of the view in which an entry was quantized, `entry.rows`: rows first, and
    transposed where a module stores (inputs, outputs). `entry.restored` turns all of them into the
    original shape. An alias is read as its owner.

    Raises `ModelError` if the folder is not the frozen directory of one model, or is damaged: if
    manifest, config.json and the headers of the files disagree, or a file ends too early.
    `trust_remote_code` lets the code of a model run where the directory of an older version needs
    its class.
    """

    def __init__(self, folder: str | os.PathLike[str], *, trust_remote_code: bool = False) -> None:
        self.folder = Path(folder)
        self.config: dict[str, Any] = read_frozen_config(self.folder)
        self.manifest: dict[str, Any] = read_manifest(self.folder)
        listed = read_listed(self.manifest, self.folder)
        check_inventory(self.manifest, self.folder / MANIFEST)
        self.checkpoint: Checkpoint = open_checkpoint(str(self.folder.absolute()))
        rows = {}
        if any(each.qtype is not None and each.quantized_shape is None for each in listed):
            from quantcli.dequantization.older import rows_by_name

            rows = rows_by_name(self.skeleton(trust_remote_code=trust_remote_code))
        self.entries: Mapping[str, FrozenEntry] = make_entries(
            listed, self.config[SECTION], self.checkpoint.tensors, rows
        )
        self._descriptors: dict[str, int] = {}

    def __enter__(self) -> Self:
        for file in self.checkpoint.weight_files:
            self._descriptors[file] = open_weights(self.checkpoint.path(file))
        return self

    def __exit__(self, *exception: object) -> None:
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    @property
    def dtype(self) -> str:
        """The dtype of the model, by its name in torch."""
        return str(self.manifest["dtype"])

    def skeleton(self, *, trust_remote_code: bool = False) -> Any:
        """Return the class that was frozen on the meta device (see `skeleton.Skeleton`).

        Imports transformers. Raises `ModelError` if it cannot be built.
        """
        from quantcli.dequantization.older import frozen_skeleton

        return frozen_skeleton(
            self.folder,
            self.config,
            self.dtype,
            tensors=len(self.checkpoint.tensors),
            trust_remote_code=trust_remote_code,
        )

    def entry(self, name: str) -> FrozenEntry:
        """Return an entry that is stored; for an alias, its owner.

        Raises `UsageError` for a name that does not exist, or that transformers computes.
        """
        if name not in self.entries:
            raise UsageError(
                f"{self.folder} has no tensor {name}", hint=did_you_mean(name, self.entries)
            )
        found = self.entries[name]
        found = self.entries[found.alias_of] if found.alias_of is not None else found
        if not found.is_stored:
            raise UsageError(f"{name} is not stored: transformers computes it")
        return found

    def rows(self, name: str, start: int, stop: int) -> torch.Tensor:
        """Return rows `start` to `stop`, (rows, *entry.row_shape), with the values of the model.

        They are in the dtype of the entry: that of its scales, or that in which it is kept. Equal
        bit for bit to `dequantize()` of the loaded module's weight on a CPU.
        """
        entry = self.entry(name)
        out = torch.empty((stop - start, entry.columns), dtype=getattr(torch, entry.dtype))
        self.open(entry).values(start, out, Workspace())
        return out.view(stop - start, *entry.row_shape)

    def codes_of(self, name: str, start: int, stop: int) -> torch.Tensor:
        """Return the codes of the same rows: int8, float8, uint8 unpacked, or the values kept."""
        entry = self.entry(name)
        part = next(iter(entry.parts.values()))
        out = torch.empty((stop - start, entry.columns), dtype=getattr(torch, part.dtype))
        self.open(entry).codes(start, out, Workspace())
        return out.view(stop - start, *entry.row_shape)

    def blocks(self, name: str) -> Iterator[torch.Tensor]:
        """Yield all rows in order, in blocks of about `BLOCK_BYTES`."""
        return (self.rows(name, *block) for block in self.ranges(name))

    def codes(self, name: str) -> Iterator[torch.Tensor]:
        """Yield the codes of the same blocks."""
        return (self.codes_of(name, *block) for block in self.ranges(name))

    def ranges(self, name: str) -> Iterator[tuple[int, int]]:
        """Yield the first and the last row, exclusive, of each block."""
        entry = self.entry(name)
        nbytes = max(1, entry.columns * getattr(torch, entry.dtype).itemsize)
        step = max(1, BLOCK_BYTES // nbytes)
        for start in range(0, entry.count if entry.numel else 0, step):
            yield start, min(start + step, entry.count)

    def open(self, entry: FrozenEntry) -> EntryRows:
        """Return what reads rows of a stored entry into memory of the caller's."""
        return rows_of(entry, {part: self._file(each) for part, each in entry.parts.items()})

    def _file(self, record: TensorRecord) -> FileReader:
        return FileReader(self._descriptors[record.file], record)
