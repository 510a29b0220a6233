"""A pipeline as it is stored in a folder or a Hub repo: its index and its components."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantcli.checkpoint import Checkpoint, weight_files
from quantcli.checkpoint.model import read_checkpoint
from quantcli.checkpoint.records import CONFIG, PIPELINE, ModelFiles
from quantcli.errors import ModelError
from quantcli.pipelines.index import Index, Part, parse_index
from quantcli.pipelines.package import find_model, import_diffusers
from quantcli.pipelines.subfolder import Subfolder
from quantcli.skeleton import find_class
from quantcli.text import some

Files = list[tuple[str, Path]]
"""Files as (name, local path)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One component: a model that is planned, weights that are copied, or files without weights.

    `checkpoint` is None if it has no weights. `model_class` is the class of diffusers or
    transformers that loads it, None if it is only copied.
    """

    part: Part
    files: Subfolder
    checkpoint: Checkpoint | None = None
    model_class: Any = None

    @property
    def name(self) -> str:
        """The name of the component, and of its folder."""
        return self.part.name

    @property
    def of_diffusers(self) -> bool:
        """Whether diffusers loads the model."""
        return self.part.package == "diffusers"

    def all_files(self) -> Files:
        """Return every file to copy if nothing in it is quantized, with its weights."""
        if self.checkpoint is None:
            return [(name, self.files.path(name)) for name in self.rest_names()]
        own = dict.fromkeys([CONFIG, self.checkpoint.entry, *self.checkpoint.weight_files])
        return [*((n, self.files.path(n)) for n in own), *self.checkpoint.side_files()]

    def rest_names(self) -> list[str]:
        """Return the names of the files of a component without weights."""
        names = weight_files.side_names(self.files.sizes, weight_files=(), folders=())
        return [*([CONFIG] if CONFIG in self.files.sizes else []), *names]

    def fetch(self) -> None:
        """Download what is not on this machine yet."""
        if self.checkpoint is not None:
            self.checkpoint.fetch()
        elif names := self.rest_names():
            self.files.fetch(names)


class Pipeline:
    """A pipeline in a folder or a Hub repo. `open_pipeline` makes it; it holds no weights."""

    def __init__(self, files: ModelFiles, index: Index, components: tuple[Component, ...]) -> None:
        self.model = files.model
        self.revision = files.revision
        self.index = index
        self.components = components
        self._files = files

    @property
    def weight_files(self) -> tuple[str, ...]:
        """The files that hold weights, from the root of the pipeline."""
        return tuple(
            f"{component.name}/{file}"
            for component in self.components
            if component.checkpoint is not None
            for file in component.checkpoint.weight_files
        )

    def path(self, file: str) -> Path:
        """Return the local path of a file, after `fetch`."""
        return self._files.path(file)

    def fetch(self) -> Path:
        """Download what the pipeline needs into the cache, and return its folder."""
        for component in self.components:
            component.fetch()
        return self._files.fetch([PIPELINE, *self._top_names()])

    def side_files(self) -> Files:
        """Return the files that are copied with the weights, after `fetch`."""
        found = [(name, self.path(name)) for name in (PIPELINE, *self._top_names())]
        for component in self.components:
            checkpoint = component.checkpoint
            inside = component.all_files() if checkpoint is None else checkpoint.side_files()
            found += [(f"{component.name}/{name}", path) for name, path in inside]
        return found

    def _top_names(self) -> list[str]:
        """Return the files beside the index that belong to the pipeline: a licence, its code."""
        names = [name for name in self._files.sizes if "/" not in name and name != PIPELINE]
        return weight_files.side_names(names, weight_files=(), folders=())


def open_pipeline(files: ModelFiles) -> Pipeline:
    """Open a pipeline: reads its index, and the config and the headers of its models.

    Raises `ModelError` if anything is missing or damaged, or if a model is of an unknown class.
    """
    where = f"{PIPELINE} of {files.model}"
    index = parse_index(files.read_all(PIPELINE), where=where)
    components = tuple(_open(part, Subfolder(files, part.name)) for part in index.parts)
    if not any(component.model_class is not None for component in components):
        raise ModelError(
            f"{files.model} has no model that can be quantized",
            hint=f"its {PIPELINE} names: {some([part.class_name for part in index.parts])}",
        )
    return Pipeline(files, index, components)


def _open(part: Part, files: Subfolder) -> Component:
    if not files.sizes:
        raise ModelError(
            f"{files.model} is missing: {PIPELINE} names it", hint="download the pipeline again"
        )
    if CONFIG not in files.sizes:
        _check_no_weights(part, files)
        return Component(part=part, files=files)
    if _is_no_model(part):
        return Component(part=part, files=files)
    checkpoint = _read(part, files)
    return Component(
        part=part, files=files, checkpoint=checkpoint, model_class=_class_of(part, checkpoint)
    )


def _read(part: Part, files: Subfolder) -> Checkpoint:
    """Open the checkpoint of a model; its `ModelError`s name the component."""
    try:
        return read_checkpoint(files)
    except ModelError as error:
        if part.name in error.message:
            raise
        raise ModelError(f"{files.model}: {error.message}", hint=error.hint) from error


def _class_of(part: Part, checkpoint: Checkpoint) -> Any:
    """Return the class that loads a model, None if it is one of a pipeline's own."""
    if part.package not in ("diffusers", "transformers"):
        return None
    if part.package == "diffusers":
        found, version = find_model(part.class_name, checkpoint.config), import_diffusers()
    else:
        import transformers as version

        found = find_class([part.class_name])
    if found is None:
        raise ModelError(
            f"cannot build {part.class_name} of {checkpoint.model}: {part.package} "
            f"{version.__version__} has no such model",
            hint=f"upgrade {part.package} if the model is newer",
        )
    return found


def _is_no_model(part: Part) -> bool:
    """Return whether a library has something else under a name: a scheduler, a tokenizer."""
    name = part.class_name
    if part.package == "diffusers":
        return hasattr(import_diffusers(), name) and find_model(name, {}) is None
    import transformers

    is_known = part.package == "transformers" and hasattr(transformers, name)
    return is_known and find_class([name]) is None


def _check_no_weights(part: Part, files: Subfolder) -> None:
    """Raise `ModelError` for weights without a config, which would not be copied."""
    weights = [name for name in files.sizes if weight_files.is_weights(name)]
    if weights:
        raise ModelError(
            f"{files.model} ({part.class_name}) has weights and no {CONFIG}: {some(weights)}",
            hint="give a pipeline of PyTorch or safetensors weights",
        )
