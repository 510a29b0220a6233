"""Put the activation scales of a calibrated model into the shards that were written for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from quantcli.execute.shard import layout, write_all
from quantcli.planning import Plan


def write_scales(folder: Path, plan: Plan, scales: Mapping[str, torch.Tensor]) -> None:
    """Write scalars to their places in the shards of a plan, in the dtype in which they are stored.

    `scales` maps the names of stored tensors to values. Raises `OSError`.
    """
    for index, name in enumerate(plan.shards):
        stored = [part for tensor in plan.in_shard(index) for part in tensor.stored]
        _, offsets, _ = layout(stored)
        values = {
            offsets[part.name]: _bytes(scales[part.name], part.dtype)
            for part in stored
            if part.name in scales
        }
        if values:
            _write(folder / name, values)


def _bytes(scale: torch.Tensor, dtype: str) -> bytes:
    stored = scale.detach().to("cpu", getattr(torch, dtype)).reshape(1)
    return stored.view(torch.uint8).numpy().tobytes()


def _write(path: Path, values: Mapping[int, bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for offset, raw in values.items():
            write_all(descriptor, memoryview(raw), offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
