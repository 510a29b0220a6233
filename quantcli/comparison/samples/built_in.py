"""The built-in samples of each kind: those to measure with, and others to calibrate with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from quantcli.comparison.samples.sample import Item, Purpose


class BuiltIn(Protocol):
    """Makes all built-in samples of a kind."""

    def __call__(self, kind: str, seed: int, *, captions: bool, joined: bool) -> list[Item]:
        """Return them. With `captions` the first texts describe images.

        `joined` gives the texts in the order in which they are joined, if they can be.
        """


def _to_measure(kind: str, seed: int, *, captions: bool, joined: bool) -> list[Item]:
    del joined
    if kind == "image":
        from quantcli.comparison.samples.images import built_in_images

        return _named(built_in_images(seed))
    if kind == "audio":
        from quantcli.comparison.samples.audio import built_in_audio

        return _named(built_in_audio(seed))
    from quantcli.comparison.samples import images
    from quantcli.comparison.samples.texts import TEXTS

    return _numbered("built-in text", [*images.captions(), *TEXTS] if captions else TEXTS)


def _to_calibrate(kind: str, seed: int, *, captions: bool, joined: bool) -> list[Item]:
    if kind == "image":
        from quantcli.comparison.samples.calibration_images import calibration_images

        return _named(calibration_images(seed))
    if kind == "audio":
        from quantcli.comparison.samples.calibration_audio import calibration_audio

        return _named(calibration_audio(seed))
    from quantcli.comparison.samples import calibration_images as images
    from quantcli.comparison.samples.passages import calibration_texts, joined_texts

    texts = joined_texts(seed) if joined else calibration_texts(seed)
    return _numbered("calibration text", [*images.captions(), *texts] if captions else texts)


BUILT_IN: dict[Purpose, BuiltIn] = {"measure": _to_measure, "calibrate": _to_calibrate}
"""What makes the built-in samples for each purpose."""


def _named(made: Iterable[tuple[str, Any]]) -> list[Item]:
    return [Item(name=name, value=value) for name, value in made]


def _numbered(name: str, texts: Iterable[str]) -> list[Item]:
    return [Item(name=f"{name} {i}", value=text) for i, text in enumerate(texts, start=1)]
