"""A checkpoint: its config, its tensors by name, and access to their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.checkpoint import headers, layout
from quantcli.checkpoint.foreign import not_a_model
from quantcli.checkpoint.jsonfile import check_serializable, parse_object
from quantcli.checkpoint.layout import Layout
from quantcli.checkpoint.nested import read_modules, unnest
from quantcli.checkpoint.payload import Payload
from quantcli.checkpoint.records import CONFIG, Source, TensorRecord
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
        source: Source,
        config: dict[str, Any],
        weights: Layout,
        tensors: dict[str, TensorRecord],
    ) -> None:
        self.model = source.model
        self.revision = source.revision
        self.config = config
        self.weights_format = weights.weights_format
        self.weight_files = weights.files
        self.index_metadata = weights.metadata
        self.tensors = tensors
        self._source = source
        self._entry = weights.entry
        self._payload = Payload(weights.weights_format)

    @property
    def has_code(self) -> bool:
        """Whether the config refers to code in the model's repository."""
        return bool(self.config.get("auto_map"))

    def folder(self) -> Path:
        """Return a local folder with the files that transformers' `AutoConfig` needs."""
        code = [name for name in self._source.sizes if name.endswith(".py")]
        return self._source.fetch([CONFIG, *(code if self.has_code else [])])

    def fetch(self) -> None:
        """Download the weights and the side files of a Hub repo into the cache."""
        self._source.fetch([CONFIG, *self.weight_files, *self._side_names()])

    def fetch_all(self) -> Path:
        """Download every file that is not hidden into the cache; return their folder."""
        return self._source.fetch(name for name in self._source.sizes if not name.startswith("."))

    def path(self, file: str) -> Path:
        """Return the local path of a file of the model, after `fetch`."""
        return self._source.path(file)

    def sample(self, name: str, start: int, nbytes: int) -> bytes:
        """Return `nbytes` bytes of a tensor from `start`, which is relative to the tensor.

        Only for tensors that are not `strided`.
        """
        record = self.tensors[name]
        if record.strided or not 0 <= start <= start + nbytes <= record.nbytes:
            raise ValueError(f"no bytes {start} to {start + nbytes} of {name}")
        return self._source.read_range(record.file, record.offset + start, nbytes)

    def read(self, name: str) -> torch.Tensor:
        """Return a whole tensor, after `fetch`. Never runs code from the file."""
        record = self.tensors[name]
        return self._payload.read(self.path(record.file), record)

    def side_files(self) -> list[tuple[str, Path]]:
        """Return the files to copy with the weights, as (name, local path), after `fetch`."""
        return [(name, self.path(name)) for name in self._side_names()]

    def _side_names(self) -> list[str]:
        folders = layout.module_folders(read_modules(self._source))
        known = {*self.weight_files, self._entry}
        return layout.side_names(self._source.sizes, weight_files=known, folders=folders)


def read_checkpoint(source: Source) -> Checkpoint:
    """Return the checkpoint in a source; reads only its config, index and headers.

    Raises `ModelError` if anything is missing or damaged.
    """
    source = unnest(source)
    sizes = source.sizes
    if CONFIG not in sizes:
        raise not_a_model(source)
    config = parse_object(source.read_all(CONFIG), where=f"{CONFIG} of {source.model}")
    check_serializable(config, where=f"{CONFIG} of {source.model}")
    found = layout.find_entry(sizes, config, model=source.model)
    if found is None:
        raise not_a_model(source)
    weights_format, entry = found
    index = source.read_all(entry) if layout.is_index(entry) else None
    weights = layout.parse_layout(weights_format, entry, index)
    missing = [file for file in weights.files if file not in sizes]
    if missing:
        raise ModelError(
            f"{source.model}: missing {some(missing)}, listed in {entry}",
            hint="download it again",
        )
    return Checkpoint(source, config, weights, _read_tensors(source, weights))


def _read_tensors(source: Source, weights: Layout) -> dict[str, TensorRecord]:
    if weights.weights_format == "safetensors":
        with ThreadPoolExecutor(max_workers=8) as pool:
            files = list(pool.map(partial(_read_safetensors, source, weights), weights.files))
    else:
        from quantcli.checkpoint import torchfile

        files = torchfile.read_records(source, weights.files)
    found = dict(zip(weights.files, files, strict=True))
    return dict(_in_order(found, weights))


def _read_safetensors(source: Source, weights: Layout, file: str) -> dict[str, TensorRecord]:
    guess = headers.GUESS
    if weights.weight_map is not None:
        # an entry takes about a hundred bytes besides its name: read no more than that
        names = (name for name, at in weights.weight_map.items() if at == file)
        guess = 1024 + sum(len(name) + 110 for name in names)
    return headers.read_header(file, source.sizes[file], source.read_range, guess=guess)


def _in_order(
    found: Mapping[str, dict[str, TensorRecord]], weights: Layout
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
