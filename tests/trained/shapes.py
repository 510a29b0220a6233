"""Drawn shapes and what is said of them: "a red circle on a blue background"."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

from quantcli.comparison.samples.images import COLOURS, outline

if TYPE_CHECKING:
    from PIL.Image import Image

SHAPES = ["circle", "square", "triangle", "star", "cross"]
SIZE = 64


def captions() -> list[tuple[str, str, str]]:
    """List every colour, shape and background; a shape is never on its own colour."""
    every = itertools.product(COLOURS, SHAPES, COLOURS)
    return [(colour, shape, ground) for colour, shape, ground in every if colour != ground]


def say(colour: str, shape: str, ground: str) -> str:
    """Return the caption of an image."""
    article = "an" if colour[0] in "aeiou" else "a"
    other = "an" if ground[0] in "aeiou" else "a"
    return f"{article} {colour} {shape} on {other} {ground} background"


def draw(colour: str, shape: str, ground: str, rng: random.Random) -> Image:
    """Draw a shape somewhere near the middle, in shades of its colours."""
    from PIL import Image, ImageDraw

    def shade(name: str) -> tuple[int, ...]:
        return tuple(min(255, max(0, level + rng.randint(-12, 12))) for level in COLOURS[name])

    image = Image.new("RGB", (SIZE, SIZE), shade(ground))
    radius = rng.uniform(0.32, 0.44) * SIZE
    x, y = (SIZE / 2 + rng.uniform(-0.05, 0.05) * SIZE for _ in "xy")
    ImageDraw.Draw(image).polygon(outline(shape, x, y, radius), fill=shade(colour))
    return image
