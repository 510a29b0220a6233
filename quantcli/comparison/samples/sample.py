"""Samples as plain data, and what the user asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SAMPLING_RATE = 16000
"""Values a second of every recording, in Hz: what speech models are trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    """What the user asked for: texts, files of images and recordings, a file of JSON lines.

    `samples` is the most of each kind. `seed` makes the built-in drawings and recordings.
    """

    text: tuple[str, ...] = ()
    image: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()
    data: str | None = None
    samples: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One sample: a text, a PIL image in RGB, or mono float32 at `SAMPLING_RATE`.

    `target` is the text that a model should answer with.
    """

    name: str
    value: Any
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The samples of each kind; `given` tells that some are the user's own.

    `built_in` are the kinds of which none are.
    """

    texts: tuple[Item, ...] = ()
    images: tuple[Item, ...] = ()
    audios: tuple[Item, ...] = ()
    given: bool = False
    built_in: frozenset[str] = frozenset()
