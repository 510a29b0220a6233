"""Damage to a model's folder: to a file, or to which files there are. A seed decides it all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from fuzz import archives, documents, weights
from fuzz.documents import NoPlaceError

JSON: dict[str, weights.Mutator] = {
    **{name: partial(documents.damage, change) for name, change in documents.CHANGES.items()},
    "spoil_text": documents.spoil_text,
}

Rearrange = Callable[[Random, Path, Path], None]
"""Changes which files there are, given the folder and one of its files."""


def mutators_of(path: Path) -> dict[str, weights.Mutator]:
    """Return, by name, what can happen to the content of a file."""
    if path.suffix == ".json":
        return JSON
    if path.suffix == ".safetensors":
        return weights.ANY | weights.SAFETENSORS
    if path.suffix == ".bin":
        return weights.ANY | archives.TORCH
    return weights.ANY


def remove(_: Random, folder: Path, path: Path) -> None:
    _leave_one(folder)
    path.unlink()


def become_folder(_: Random, folder: Path, path: Path) -> None:
    _leave_one(folder)
    path.unlink()
    path.mkdir()


def become_link(rng: Random, folder: Path, path: Path) -> None:
    """Point to nothing, to itself, or to what is no file."""
    _leave_one(folder)
    path.unlink()
    path.symlink_to(rng.choice(["nowhere", path.name, "/dev/null", str(folder), "."]))


def add_link(rng: Random, folder: Path, path: Path) -> None:
    """Add a folder that leads back, or a file that leads nowhere."""
    target = rng.choice([".", "..", path.name, "nowhere"])
    _free(folder, rng.choice(["again", "linked.json", "linked.safetensors"])).symlink_to(target)


def move(rng: Random, folder: Path, path: Path) -> None:
    """Give a file another name."""
    names = ["model.safetensors", "pytorch_model.bin", "modules.json", f"{path.name}.old"]
    names += [path.name.upper(), "model-00001-of-00002.safetensors", "tokenizer.json"]
    path.rename(_free(folder, rng.choice(names)))


def copy(rng: Random, folder: Path, path: Path) -> None:
    """Put a file where another is looked for."""
    names = ["pytorch_model.bin", "model.safetensors", "model.safetensors.index.json"]
    names += ["modules.json", "quantcli.json", "generation_config.json", "extra.safetensors"]
    shutil.copyfile(path, _free(folder, rng.choice(names)))


def exchange(rng: Random, folder: Path, path: Path) -> None:
    """Exchange the contents of two files."""
    other = rng.choice(_files(folder))
    content = path.read_bytes()
    if other.read_bytes() == content:
        raise NoPlaceError
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


def enlarge(rng: Random, folder: Path, path: Path) -> None:
    """Make a file huge, with nothing in it."""
    if path.suffix not in {".safetensors", ".bin"}:
        raise NoPlaceError
    _leave_one(folder)
    os.truncate(path, path.stat().st_size + rng.choice([1, 2**20, 2**33]))


REARRANGEMENTS: dict[str, Rearrange] = {
    change.__name__: change
    for change in (
        *(remove, become_folder, become_link, add_link),
        *(move, copy, exchange, enlarge),
    )
}

LIKELY = {"config.json": 4, "quantcli.json": 2, "model.safetensors.index.json": 2}
"""How much likelier than others some files are chosen; those with weights too."""


def mutate(folder: Path, rng: Random) -> list[str]:
    """Damage a folder, mostly in one place; return what was done, one line each."""
    return [_mutate_once(folder, rng) for _ in range(rng.choice([1, 1, 1, 1, 2, 3]))]


def _mutate_once(folder: Path, rng: Random) -> str:
    for _ in range(50):
        path = _choose(_files(folder), rng)
        name = path.relative_to(folder).as_posix()
        try:
            if rng.random() < 0.1:
                what, change = rng.choice(sorted(REARRANGEMENTS.items()))
                change(rng, folder, path)
                return f"{name}: {what}"
            what, mutator = rng.choice(sorted(mutators_of(path).items()))
            content = path.read_bytes()
            damaged = mutator(rng, content)
        except NoPlaceError:
            continue
        if damaged != content:
            path.write_bytes(damaged)
            return f"{name}: {what}"
    raise AssertionError(f"nothing of {folder} could be damaged")


def _choose(files: list[Path], rng: Random) -> Path:
    heavy = (".safetensors", ".bin")
    return rng.choices(
        files, [LIKELY.get(path.name, 3 if path.suffix in heavy else 1) for path in files]
    )[0]


def _files(folder: Path) -> list[Path]:
    """List the files that have content, and are not links to elsewhere."""
    paths = sorted(folder.rglob("*"))
    found = [path for path in paths if path.is_file() and not path.is_symlink()]
    return [path for path in found if path.stat().st_size < 2**25]


def _leave_one(folder: Path) -> None:
    if len(_files(folder)) < 2:
        raise NoPlaceError


def _free(folder: Path, name: str) -> Path:
    path = folder / name
    if path.exists() or path.is_symlink():
        raise NoPlaceError
    return path
