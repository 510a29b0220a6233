"""The smallest model, and a Hub."""

from __future__ import annotations

import pytest
from checkpoints import weights, write
from hub import Hub


@pytest.fixture
def model(tmp_path):
    """Return a folder with the smallest model: a config and two tensors."""
    return write(
        tmp_path / "model",
        {"config.json": {"model_type": "bert"}, "model.safetensors": weights(b=(2, 3), a=(4,))},
    )


@pytest.fixture
def hub(tmp_path):
    with Hub(tmp_path / "hf-home") as hub:
        yield hub
