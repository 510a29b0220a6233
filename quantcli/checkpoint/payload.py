"""Whole tensors, through the libraries that made the files and never through code in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from quantcli.checkpoint.records import TensorRecord

if TYPE_CHECKING:
    import torch


def read_tensor(path: Path, record: TensorRecord, weights_format: str) -> torch.Tensor:
    """Return the tensor of `record` from the file at `path`, mapped where the format allows it."""
    if weights_format == "safetensors":
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            tensor: torch.Tensor = file.get_tensor(record.name)
        return tensor
    raise NotImplementedError
