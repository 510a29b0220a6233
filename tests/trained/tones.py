"""Synthesised tunes and their names: "do mi sol"."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RATE = 16_000
SECONDS = 1
NOTES = {"do": 262, "re": 330, "mi": 415, "fa": 523, "sol": 659, "la": 831, "si": 1047}
"""Names and pitches in Hz: each a third above the last, far enough apart for few mel bins."""


def tunes() -> list[tuple[str, ...]]:
    """List every tune of three notes."""
    return list(itertools.product(NOTES, repeat=3))


def split(held_out: int) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Return tunes to train on, and others that are not among them."""
    every = tunes()
    random.Random(0).shuffle(every)
    return every[held_out:], every[:held_out]


def play(tune: tuple[str, ...], draw: random.Random) -> np.ndarray:
    """Play a tune within a second: loudness, tuning and lengths vary, and there is some noise."""
    import numpy as np

    noise = np.random.default_rng(draw.getrandbits(32))
    bends = draw.uniform(0.98, 1.02)
    parts = []
    for note in tune:
        time = np.arange(int(RATE * SECONDS / len(tune) * draw.uniform(0.75, 1.0))) / RATE
        wave = sum(np.sin(2 * np.pi * k * NOTES[note] * bends * time) / k for k in (1, 2))
        parts.append(wave * np.hanning(len(time)) ** 0.5 * draw.uniform(0.2, 0.5))
    sound = np.concatenate(parts)
    return (sound + noise.normal(0, 0.01, len(sound))).astype(np.float32)
