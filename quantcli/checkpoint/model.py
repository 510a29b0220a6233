"""A checkpoint: its config, its tensors by name, and access to their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.checkpoint import headers, weight_files
from quantcli.checkpoint.foreign import not_a_model
from quantcli.checkpoint.jsonfile import check_serializable, parse_object
from quantcli.checkpoint.nested import read_modules, unnest
from quantcli.checkpoint.payload import Payload
from quantcli.checkpoint.records import CONFIG, ModelFiles, TensorRecord
from quantcli.checkpoint.weight_files import WeightFiles
from quantcli.errors import ModelError
from quantcli.text import some

if TYPE_CHECKING:
    import torch


class Checkpoint:
    """A model as it is stored in a folder or a Hub repo.

    `open_checkpoint` makes it, and reads only the config and the headers.
    """

    def __init__(
        self,
        files: ModelFiles,
        config: dict[str, Any],
        weights: WeightFiles,
        tensors: dict[str, TensorRecord],
    ) -> None:
        self.model = files.model
        self.revision = files.revision
        self.config = config
        self.weights_format = weights.weights_format
        self.weight_files = weights.files
        self.index_metadata = weights.metadata
        self.tensors = tensors
        self._files = files
        self.entry = weights.entry
        self._payload = Payload(weights.weights_format)

    @property
    def has_code(self) -> bool:
        """Whether the config refers to code in the model's repository."""
        return bool(self.config.get("auto_map"))

    def folder(self) -> Path:
        """Return a local folder with the files that transformers' `AutoConfig` needs."""
        code = [name for name in self._files.sizes if name.endswith(".py")]
        return self._files.fetch([CONFIG, *(code if self.has_code else [])])

    def fetch(self) -> None:
        """Download the weights and the side files of a Hub repo into the cache."""
        self._files.fetch([CONFIG, *self.weight_files, *self._side_names()])

    def fetch_file(self, file: str) -> None:
        """Download one file of a Hub repo into the cache."""
        self._files.fetch([file])

    def fetch_all(self) -> Path:
        """Download every file that is not hidden into the cache; return their folder."""
        return self._files.fetch(name for name in self._files.sizes if not name.startswith("."))

    def path(self, file: str) -> Path:
        """Return the local path of a file of the model, after `fetch`."""
        return self._files.path(file)

    def sample(self, name: str, start: int, nbytes: int) -> bytes:
        """Return `nbytes` bytes of a tensor from `start`, which is relative to the tensor.

        Only for tensors that are not `strided`.
        """
        record = self.tensors[name]
        if record.strided or not 0 <= start <= start + nbytes <= record.nbytes:
            raise ValueError(f"no bytes {start} to {start + nbytes} of {name}")
        return self._files.read_range(record.file, record.offset + start, nbytes)

    def read(self, name: str) -> torch.Tensor:
        """Return a whole tensor, after `fetch`. Never runs code from the file."""
        record = self.tensors[name]
        return self._payload.read(self.path(record.file), record)

    def side_files(self) -> list[tuple[str, Path]]:
        """Return the files to copy with the weights, as (name, local path), after `fetch`."""
        return [(name, self.path(name)) for name in self._side_names()]

    def _side_names(self) -> list[str]:
        folders = weight_files.module_folders(read_modules(self._files))
        known = {*self.weight_files, self.entry}
        return weight_files.side_names(self._files.sizes, weight_files=known, folders=folders)


def read_checkpoint(files: ModelFiles) -> Checkpoint:
    """Return the checkpoint in these files; reads only its config, index and headers.

    Raises `ModelError` if anything is missing or damaged.
    """
    files = unnest(files)
    sizes = files.sizes
    if CONFIG not in sizes:
        raise not_a_model(files)
    config = parse_object(files.read_all(CONFIG), where=f"{CONFIG} of {files.model}")
    check_serializable(config, where=f"{CONFIG} of {files.model}")
    found = weight_files.find_entry(sizes, config, model=files.model)
    if found is None:
        raise not_a_model(files, diffusers="_class_name" in config)
    weights_format, entry = found
    index = files.read_all(entry) if weight_files.is_index(entry) else None
    weights = weight_files.parse_weight_files(weights_format, entry, index)
    missing = [file for file in weights.files if file not in sizes]
    if missing:
        raise ModelError(
            f"{files.model}: missing {some(missing)}, listed in {entry}",
            hint="download it again",
        )
    return Checkpoint(files, config, weights, _read_tensors(files, weights))


def _read_tensors(files: ModelFiles, weights: WeightFiles) -> dict[str, TensorRecord]:
    if weights.weights_format == "safetensors":
        with ThreadPoolExecutor(max_workers=8) as pool:
            read = list(pool.map(partial(_read_safetensors, files, weights), weights.files))
    else:
        from quantcli.checkpoint import torchfile

        read = torchfile.read_records(files, weights.files)
    found = dict(zip(weights.files, read, strict=True))
    return dict(_in_order(found, weights))


def _read_safetensors(
    files: ModelFiles, weights: WeightFiles, file: str
) -> dict[str, TensorRecord]:
    guess = headers.GUESS
    if weights.weight_map is not None:
        # an entry takes about a hundred bytes besides its name: read no more than that
        names = (name for name, at in weights.weight_map.items() if at == file)
        guess = 1024 + sum(len(name) + 110 for name in names)
    return headers.read_header(file, files.sizes[file], files.read_range, guess=guess)


def _in_order(
    found: Mapping[str, dict[str, TensorRecord]], weights: WeightFiles
) -> Iterator[tuple[str, TensorRecord]]:
    """Yield the tensors of one file after the other, each from the file given in the index."""
    weight_map = weights.weight_map or {}
    for name, file in weight_map.items():
        if name not in found[file]:
            raise ModelError(f"{file} has no tensor {name!r}, although {weights.entry} lists it")
    for file, records in found.items():
        for name, record in records.items():
            if weight_map.get(name, file) == file:
                yield name, record
