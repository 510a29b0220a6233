"""Drawn shapes and what is said of them: "a red circle on a blue background"."""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS = {
    "red": (215, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 80, 210),
    "yellow": (240, 215, 50),
    "orange": (245, 140, 30),
    "purple": (140, 60, 170),
    "white": (245, 245, 245),
    "black": (20, 20, 20),
}
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


def outline(shape: str, x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """Return the corners of a shape around a point."""
    if shape == "cross":
        arm = radius / 3
        quarter = [(-arm, -radius), (arm, -radius), (arm, -arm)]
        turns = [(1, 0), (0, 1), (-1, 0), (0, -1)]
        return [(x + u * c - v * s, y + u * s + v * c) for c, s in turns for u, v in quarter]
    count = {"triangle": 3, "square": 4, "star": 10, "circle": 40}[shape]
    start = math.pi / 4 if shape == "square" else 0.0
    points = []
    for corner in range(count):
        angle = start + 2 * math.pi * corner / count
        reach = radius * (0.4 if shape == "star" and corner % 2 else 1.0)
        points.append((x + reach * math.sin(angle), y - reach * math.cos(angle)))
    return points


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
