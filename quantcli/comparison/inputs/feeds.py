"""The inputs of the models for one sample, and the hash of all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One sample as the models take it: a batch of one.

    `output` names its result ("text", "image"). `labels` are the right tokens if the sample has
    them, `chosen` the positions that count if not all do. With `generate` the models also generate
    text, which reports show after `prompt`.
    """

    name: str
    output: str
    inputs: Mapping[str, torch.Tensor]
    labels: torch.Tensor | None = None
    chosen: torch.Tensor | None = None
    generate: bool = False
    prompt: str = ""


def hash_feeds(feeds: Iterable[Feed], task: str) -> str:
    """Return the sha256 of the inputs of the models, without the names of the samples."""
    digest = hashlib.sha256(task.encode())
    for feed in feeds:
        extra = {"labels": feed.labels, "chosen": feed.chosen}
        for name, tensor in sorted({**feed.inputs, **extra}.items()):
            if tensor is not None:
                digest.update(f"{feed.output} {name} {tensor.dtype} {list(tensor.shape)}".encode())
                digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
