"""The times of forward passes and of generated tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch


@dataclass
class Clock:
    """The seconds of each forward pass and of all generation. Does not record if `on` is false."""

    passes: list[float] = field(default_factory=list)
    tokens: int = 0
    generating: float = 0.0
    on: bool = True

    @contextmanager
    def forward(self) -> Iterator[None]:
        """Time one forward pass."""
        began = _now()
        yield
        if self.on:
            self.passes.append(_now() - began)

    @contextmanager
    def generation(self) -> Iterator[list[int]]:
        """Time a generation; the block appends the number of tokens to the list."""
        counts: list[int] = []
        began = _now()
        yield counts
        if self.on:
            self.generating += _now() - began
            self.tokens += sum(counts)

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens generated per second, or None without any."""
        return self.tokens / self.generating if self.tokens else None


def _now() -> float:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()
