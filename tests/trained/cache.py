"""Trained models on disk, each under a hash of what made it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import shutil
from pathlib import Path

NAMES = ("clip", "t5", "gpt", "whisper", "vit")
"""The models; each is trained by the module of its name, which also says how good it is."""

PACKAGES = ("torch", "transformers", "tokenizers")


def model(name: str) -> Path:
    """Return the folder of a trained model, which is made where it is not there yet."""
    from filelock import FileLock

    folder = cached(name)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Whoever waits here finds the folder made by whom it waited for.
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            _make(name, folder)
    return folder


def cached(name: str) -> Path:
    """Return where a model is kept: another place as soon as what makes it changes."""
    if name not in NAMES:
        raise ValueError(f"no trained model is named {name}; there are {', '.join(NAMES)}")
    return _root() / f"{name}-{_digest()}"


def train(name: str, folder: Path) -> None:
    """Train a model into a folder."""
    from trained import training

    with training.seeded(0):
        importlib.import_module(f"trained.{name}").train(folder)


def quality(name: str, folder: Path) -> dict[str, float]:
    """Measure a trained model on what it has not seen."""
    return importlib.import_module(f"trained.{name}").quality(folder)


def _root() -> Path:
    place = os.environ.get("QUANTCLI_TEST_CACHE")
    return Path(place) if place else Path.home() / ".cache" / "quantcli-tests"


def _digest() -> str:
    """Hash the scripts of this folder, what draws for them, and the versions of what they call."""
    digest = hashlib.sha256()
    drawing = importlib.util.find_spec("quantcli.comparison.samples.images").origin
    for path in [*sorted(Path(__file__).parent.glob("*.py")), Path(drawing)]:
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    for package in PACKAGES:
        digest.update(f"{package} {importlib.metadata.version(package)}\0".encode())
    return digest.hexdigest()


def _make(name: str, folder: Path) -> None:
    partial = folder.with_name(f".{folder.name}.partial")
    # One that was interrupted left it: nobody else may be here, which the lock sees to.
    shutil.rmtree(partial, ignore_errors=True)
    train(name, partial)
    partial.replace(folder)
