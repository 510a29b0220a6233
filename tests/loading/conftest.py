"""Frozen directories and the models that they were frozen from, shared by these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import freezing
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import TinyModel
    from transformers import PreTrainedModel


class Frozen(Protocol):
    """Freezes a tiny model, once a session: its directory, and the model in memory."""

    def __call__(
        self, kind: str, weights: str, dtype: str = "float32"
    ) -> tuple[Path, PreTrainedModel]: ...


@pytest.fixture(scope="session")
def frozen(tiny_model: TinyModel, tmp_path_factory: pytest.TempPathFactory) -> Frozen:
    made: dict[tuple[str, str, str], tuple[Path, PreTrainedModel]] = {}

    def make(kind: str, weights: str, dtype: str = "float32") -> tuple[Path, PreTrainedModel]:
        key = (kind, weights, dtype)
        if key not in made:
            model = freezing.load_original(tiny_model(kind, dtype))
            untied = ["lm_head.weight"] if kind == "t5-untied" else []
            freezing.freeze_plainly(model, weights)
            folder = tmp_path_factory.mktemp(f"frozen-{kind}-{weights}-{dtype}")
            made[key] = freezing.write_frozen(model, folder, weights, untied=untied), model
        return made[key]

    return make


@pytest.fixture(autouse=True)
def _no_bars() -> None:
    import transformers

    transformers.logging.disable_progress_bar()
