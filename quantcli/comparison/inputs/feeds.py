"""What the models are fed, and what identifies it."""

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

    `output` names what comes of it ("text", "image"). `labels` are the right tokens where the
    sample gives them; `chosen` the positions that count where not all do. `generate` says that
    the models also continue it; `prompt` is what a report then shows.
    """

    name: str
    output: str
    inputs: Mapping[str, torch.Tensor]
    labels: torch.Tensor | None = None
    chosen: torch.Tensor | None = None
    generate: bool = False
    prompt: str = ""


def hash_feeds(feeds: Iterable[Feed], task: str) -> str:
    """Return the sha256 of what the models are fed: names of samples do not count."""
    digest = hashlib.sha256(task.encode())
    for feed in feeds:
        extra = {"labels": feed.labels, "chosen": feed.chosen}
        for name, tensor in sorted({**feed.inputs, **extra}.items()):
            if tensor is not None:
                digest.update(f"{feed.output} {name} {tensor.dtype} {list(tensor.shape)}".encode())
                digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
