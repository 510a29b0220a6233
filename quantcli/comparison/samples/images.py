"""Built-in images, drawn: shapes on backgrounds, stripes, gradients, textures, small scenes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

SIZE = 256

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

_SHAPES = (
    ("red", "circle", "blue"),
    ("green", "square", "white"),
    ("yellow", "star", "black"),
    ("blue", "triangle", "yellow"),
    ("white", "cross", "red"),
    ("purple", "circle", "green"),
    ("orange", "star", "purple"),
    ("black", "square", "orange"),
    ("red", "triangle", "white"),
    ("blue", "cross", "black"),
    ("yellow", "circle", "purple"),
    ("green", "star", "red"),
)

Draw = ImageDraw.ImageDraw


def built_in_images(seed: int) -> list[tuple[str, Image.Image]]:
    """Return captions and RGB images; the seed decides shades, positions and noise."""
    rng = np.random.default_rng(seed)
    shapes = [(_caption(*names), _shape(*names, rng)) for names in _SHAPES]
    others = [(caption, draw(rng)) for caption, draw in _OTHERS.items()]
    # kinds alternate, so that the first few are also varied
    pairs = [image for pair in zip(shapes, others, strict=True) for image in pair]
    return [(caption, image.convert("RGB")) for caption, image in pairs]


def captions() -> list[str]:
    """Return the captions, in the order of the images."""
    shapes = [_caption(*names) for names in _SHAPES]
    return [caption for pair in zip(shapes, _OTHERS, strict=True) for caption in pair]


def _caption(colour: str, shape: str, ground: str) -> str:
    return f"{_article(colour)} {colour} {shape} on {_article(ground)} {ground} background"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _shape(colour: str, shape: str, ground: str, rng: np.random.Generator) -> Image.Image:
    def shade(name: str) -> tuple[int, int, int]:
        red, green, blue = np.clip(np.add(COLOURS[name], rng.integers(-10, 11, 3)), 0, 255)
        return int(red), int(green), int(blue)

    image = Image.new("RGB", (SIZE, SIZE), shade(ground))
    x, y = SIZE / 2 + rng.uniform(-0.05, 0.05, 2) * SIZE
    corners = outline(shape, float(x), float(y), float(rng.uniform(0.32, 0.42)) * SIZE)
    ImageDraw.Draw(image).polygon(corners, fill=shade(colour))
    return image


def outline(shape: str, x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """Return the corners of a shape around a point."""
    if shape == "cross":
        arm = radius / 3
        quarter = [(-arm, -radius), (arm, -radius), (arm, -arm)]
        turns = [(1, 0), (0, 1), (-1, 0), (0, -1)]
        return [(x + u * c - v * s, y + u * s + v * c) for c, s in turns for u, v in quarter]
    count = {"triangle": 3, "square": 4, "star": 10, "circle": 60}[shape]
    start = math.pi / 4 if shape == "square" else 0.0
    corners = []
    for number in range(count):
        angle = start + 2 * math.pi * number / count
        reach = radius * (0.4 if shape == "star" and number % 2 else 1.0)
        corners.append((x + reach * math.sin(angle), y - reach * math.cos(angle)))
    return corners


def _grid() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    return x, y


def _blend(share: np.ndarray, one: str, other: str) -> Image.Image:
    """Mix two colours: share (SIZE, SIZE) is that of the first, 0 to 1."""
    mixed = share[..., None] * COLOURS[one] + (1 - share[..., None]) * COLOURS[other]
    return Image.fromarray(mixed.round().astype(np.uint8))


def _stripes(_: np.random.Generator) -> Image.Image:
    return _blend((_grid()[0] * 8 % 1 < 0.5).astype(float), "red", "white")


def _checkers(_: np.random.Generator) -> Image.Image:
    x, y = _grid()
    return _blend(((x * 8).astype(int) + (y * 8).astype(int)) % 2 * 1.0, "black", "white")


def _gradient(_: np.random.Generator) -> Image.Image:
    return _blend(_grid()[1], "orange", "blue")


def _rings(_: np.random.Generator) -> Image.Image:
    x, y = _grid()
    return _blend(0.5 + 0.5 * np.sin(60 * np.hypot(x - 0.5, y - 0.5)), "purple", "yellow")


def _noise(rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8))


def _clouds(rng: np.random.Generator) -> Image.Image:
    soft = Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8))
    share = np.asarray(soft.resize((SIZE, SIZE), Image.Resampling.BICUBIC)) / 255
    return _blend(share, "white", "blue")


def _dots(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), COLOURS["white"])
    for x, y in rng.uniform(0.1, 0.9, (30, 2)) * SIZE:
        _disc(ImageDraw.Draw(image), float(x), float(y), 9, "green")
    return image


def _squares(_: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), COLOURS["white"])
    for x in (20, 100, 180):
        ImageDraw.Draw(image).rectangle((x, 100, x + 56, 156), fill=COLOURS["blue"])
    return image


def _house(_: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), (150, 200, 240))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 190, SIZE, SIZE), fill=COLOURS["green"])
    draw.rectangle((80, 120, 176, 200), fill=COLOURS["white"])
    draw.polygon([(66, 122), (128, 66), (190, 122)], fill=COLOURS["red"])
    draw.rectangle((116, 156, 140, 200), fill=(110, 70, 40))
    return image


def _night(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), (12, 16, 50))
    draw = ImageDraw.Draw(image)
    for x, y in rng.uniform(0, 1, (60, 2)) * SIZE:
        _disc(draw, float(x), float(y), 1, "white")
    _disc(draw, 190, 60, 28, "yellow")
    return image


def _face(_: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), COLOURS["blue"])
    draw = ImageDraw.Draw(image)
    _disc(draw, 128, 128, 90, "yellow")
    for x in (96, 160):
        _disc(draw, x, 104, 11, "black")
    draw.arc((78, 84, 178, 184), 30, 150, fill=COLOURS["black"], width=8)
    return image


def _flag(_: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), COLOURS["white"])
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, SIZE, 85), fill=COLOURS["purple"])
    draw.rectangle((0, 170, SIZE, SIZE), fill=COLOURS["orange"])
    return image


def _disc(draw: Draw, x: float, y: float, radius: float, colour: str) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=COLOURS[colour])


_OTHERS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "red and white stripes": _stripes,
    "a house with a red roof on a meadow": _house,
    "a black and white checkerboard": _checkers,
    "a smiling yellow face": _face,
    "a gradient from blue to orange": _gradient,
    "the moon and stars in the night sky": _night,
    "purple and yellow rings": _rings,
    "three blue squares in a row": _squares,
    "coloured noise": _noise,
    "green dots on white paper": _dots,
    "white clouds in a blue sky": _clouds,
    "a flag of three bars": _flag,
}
