"""sentence-transformers folders whose model is in a subfolder, seen as if it were at the top.

Older versions of sentence-transformers save the model in `0_Transformer/`, newer ones at the top,
and they load both. quantcli writes the newer layout: `modules.json` gives the top as the folder of
the first module, and all other files stay where they are.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from quantcli.checkpoint.records import CONFIG, MODULES, ModelFiles
from quantcli.checkpoint.weight_files import ENTRIES, module_folders
from quantcli.errors import ModelError
from quantcli.files import parse_json


def unnest(files: ModelFiles) -> ModelFiles:
    """Return `files`, or a view of it if its model is in a subfolder.

    Raises `ModelError` if modules.json is not JSON.
    """
    if is_model(files.sizes) or MODULES not in files.sizes:
        return files
    modules = read_modules(files)
    first = module_folders(modules[:1])
    if first and is_model(files.sizes, f"{first[0]}/"):
        return Nested(files, first[0], modules)
    return files


def is_model(names: Iterable[str], folder: str = "") -> bool:
    """Return whether a folder ("" or "name/") has a config and weights."""
    known = {name.removeprefix(folder) for name in names if name.startswith(folder)}
    return CONFIG in known and any(entry in known for _, entry in ENTRIES)


def read_modules(files: ModelFiles) -> list[Any]:
    """Return the list in modules.json, empty if there is no such file. Raises `ModelError`."""
    if MODULES not in files.sizes:
        return []
    try:
        modules = parse_json(files.read_all(MODULES))
    except ValueError as error:
        raise ModelError(f"{MODULES} of {files.model} {error}") from error
    return modules if isinstance(modules, list) else []


class Nested(ModelFiles):
    """A view of the files of a model that is in `folder`: the files of that folder are at the top.

    The paths are in a temporary folder of links, which exists until the process ends.
    """

    def __init__(self, files: ModelFiles, folder: str, modules: list[Any]) -> None:
        self.model = files.model
        self.revision = files.revision
        self._files = files
        self._modules = json.dumps([modules[0] | {"path": ""}, *modules[1:]], indent=2).encode()
        inside = [name for name in files.sizes if PurePosixPath(name).is_relative_to(folder)]
        # a file in the model's folder replaces one of the same name at the top
        self._names = {name: name for name in files.sizes if name not in inside}
        self._names |= {name.removeprefix(f"{folder}/"): name for name in inside}
        self._sizes = {name: files.sizes[inner] for name, inner in self._names.items()}
        self._sizes[MODULES] = len(self._modules)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Every file, by its name in this view, and its bytes."""
        return self._sizes

    def read_range(self, file: str, start: int, nbytes: int) -> bytes:
        """Return exactly `nbytes` bytes of a file, from `start`."""
        if file == MODULES:
            return self._modules[start : start + nbytes]
        return self._files.read_range(self._names[file], start, nbytes)

    def path(self, file: str) -> Path:
        """Return the path of a file in the folder of links."""
        link = self._root / file
        if file != MODULES:
            target = self._files.path(self._names[file]).resolve()
            link.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                link.symlink_to(target)
        return link

    def cached(self, file: str) -> Path | None:
        """Return the path of a file if it is on this machine, else None."""
        if file == MODULES:
            return self.path(file)
        return self._files.cached(self._names[file])

    def fetch(self, files: Iterable[str]) -> Path:
        """Download files, and return the folder of links."""
        wanted = [file for file in files if file != MODULES]
        if wanted:
            self._files.fetch(self._names[file] for file in wanted)
        for file in wanted:
            self.path(file)
        return self._root

    @cached_property
    def _root(self) -> Path:
        root = Path(tempfile.mkdtemp(prefix="quantcli-"))
        # not when this object ends: a model that was loaded from the folder may outlive it
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        (root / MODULES).write_bytes(self._modules)
        return root
