"""Samples as plain data, and the options that choose them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

SAMPLING_RATE = 16000
"""Sampling rate of every recording, in Hz: that of the data speech models are trained on."""

Purpose = Literal["measure", "calibrate"]
"""What samples are for. The built-in ones for one purpose are none of those for the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    """The user's own samples: texts, files of images and recordings, a file of JSON lines.

    `limit` is the maximum number per kind. `seed` makes built-in images and recordings, and
    random inputs. `purpose` decides which built-in samples there are.
    """

    text: tuple[str, ...] = ()
    image: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()
    data: str | None = None
    limit: int | None = None
    seed: int = 0
    purpose: Purpose = "measure"

    @property
    def own(self) -> bool:
        """Whether the user gave samples."""
        return bool(self.text or self.image or self.audio or self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One sample: a text, a PIL image in RGB, or mono float32 audio at `SAMPLING_RATE`.

    `target` is the text that a model should answer with.
    """

    name: str
    value: Any
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The samples of each kind; `built_in` names the kinds that hold none of the user's own."""

    texts: tuple[Item, ...] = ()
    images: tuple[Item, ...] = ()
    audios: tuple[Item, ...] = ()
    built_in: frozenset[str] = frozenset()
