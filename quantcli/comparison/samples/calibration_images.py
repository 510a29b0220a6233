"""Images to calibrate with, drawn: other shapes, colours and scenes than those to measure with."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image, ImageDraw

SIZE = 256

COLOURS = {
    "pink": (250, 150, 190),
    "teal": (20, 130, 130),
    "brown": (120, 75, 40),
    "grey": (130, 130, 130),
    "navy": (20, 30, 90),
    "lime": (170, 230, 60),
    "beige": (235, 220, 185),
    "maroon": (120, 20, 45),
    "turquoise": (70, 215, 205),
    "gold": (210, 165, 40),
}

_SHAPES = (
    ("pink", "pentagon", "navy"),
    ("teal", "heart", "beige"),
    ("brown", "hexagon", "lime"),
    ("grey", "diamond", "maroon"),
    ("navy", "arrow", "pink"),
    ("lime", "ring", "brown"),
    ("beige", "crescent", "teal"),
    ("maroon", "oval", "grey"),
    ("turquoise", "wave", "maroon"),
    ("gold", "heart", "navy"),
    ("navy", "hexagon", "gold"),
    ("pink", "diamond", "brown"),
    ("lime", "arrow", "navy"),
    ("teal", "ring", "pink"),
    ("brown", "oval", "turquoise"),
    ("grey", "pentagon", "lime"),
    ("maroon", "crescent", "beige"),
    ("gold", "wave", "teal"),
    ("beige", "arrow", "grey"),
    ("turquoise", "pentagon", "brown"),
    ("pink", "ring", "grey"),
    ("navy", "heart", "lime"),
    ("teal", "diamond", "gold"),
    ("maroon", "hexagon", "turquoise"),
)

Generator = np.random.Generator
Points = list[tuple[float, float]]


def calibration_images(seed: int) -> list[tuple[str, Image.Image]]:
    """Return captions and RGB images; the seed decides shades, positions and noise."""
    rng = np.random.default_rng(seed)
    shapes = [(_caption(*names), _shape(*names, rng)) for names in _SHAPES]
    scenes = [(caption, draw(rng)) for caption, draw in _SCENES.items()]
    # kinds alternate, so that the first few are also varied
    return [image for pair in zip(shapes, scenes, strict=True) for image in pair]


def captions() -> list[str]:
    """Return the captions, in the order of the images."""
    shapes = [_caption(*names) for names in _SHAPES]
    return [caption for pair in zip(shapes, _SCENES, strict=True) for caption in pair]


def _caption(colour: str, shape: str, ground: str) -> str:
    return f"a drawing of {'an' if shape[0] in 'aeiou' else 'a'} {shape} in {colour} on {ground}"


def _shape(colour: str, shape: str, ground: str, rng: Generator) -> Image.Image:
    image = _ground(_shade(ground, rng))
    draw = ImageDraw.Draw(image)
    x, y = SIZE / 2 + rng.uniform(-0.12, 0.12, 2) * SIZE
    radius, turn = float(rng.uniform(0.22, 0.34)) * SIZE, float(rng.uniform(-0.3, 0.3))
    hole = {"ring": (0.0, 0.55), "crescent": (0.45, 0.85)}.get(shape)
    draw.polygon(_corners(shape, x, y, radius, turn), fill=_shade(colour, rng))
    if hole:
        inner = _corners("disc", x + hole[0] * radius, y, hole[1] * radius, 0.0)
        draw.polygon(inner, fill=image.getpixel((0, 0)))
    return image


def _corners(shape: str, x: float, y: float, radius: float, turn: float) -> Points:
    """Return the corners of a shape around a point, turned by an angle."""
    cosine, sine = math.cos(turn), math.sin(turn)
    return [
        (x + radius * (u * cosine - v * sine), y + radius * (u * sine + v * cosine))
        for u, v in _outline(shape)
    ]


def _outline(shape: str) -> Points:
    """Return the corners of a shape, between -1 and 1."""
    if shape == "arrow":
        return [(-1, -0.3), (0.2, -0.3), (0.2, -0.8), (1, 0), (0.2, 0.8), (0.2, 0.3), (-1, 0.3)]
    angles = [2 * math.pi * i / 60 for i in range(60)]
    if shape == "heart":
        return [(math.sin(a) ** 3, (-13 * math.cos(a) + 5 * math.cos(2 * a)) / 16) for a in angles]
    if shape == "wave":
        top = [(i / 15 - 1, 0.4 * math.sin(i / 3) - 0.25) for i in range(31)]
        return top + [(u, v + 0.5) for u, v in reversed(top)]
    if shape == "oval":
        return [(math.cos(a), 0.6 * math.sin(a)) for a in angles]
    count = {"diamond": 4, "pentagon": 5, "hexagon": 6}.get(shape, 60)
    width = 0.65 if shape == "diamond" else 1.0
    corners = [2 * math.pi * i / count for i in range(count)]
    return [(width * math.sin(a), -math.cos(a)) for a in corners]


def _shade(name: str, rng: Generator) -> tuple[int, int, int]:
    red, green, blue = np.clip(np.add(COLOURS[name], rng.integers(-12, 13, 3)), 0, 255)
    return int(red), int(green), int(blue)


def _ground(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (SIZE, SIZE), colour)


def _blend(share: np.ndarray, one: str, other: str) -> Image.Image:
    """Mix two colours: share (SIZE, SIZE) is that of the first, 0 to 1."""
    mixed = share[..., None] * COLOURS[one] + (1 - share[..., None]) * COLOURS[other]
    return Image.fromarray(mixed.round().astype(np.uint8))


def _grid() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    return x, y


def _diagonals(one: str, other: str, rng: Generator) -> Image.Image:
    x, y = _grid()
    return _blend(((x + y) * rng.uniform(5, 9) % 1 < 0.4).astype(float), one, other)


def _bricks(one: str, other: str, rng: Generator) -> Image.Image:
    image = _ground(COLOURS[other])
    draw = ImageDraw.Draw(image)
    for row in range(8):
        for column in range(-1, 5):
            x = column * 64 + 32 * (row % 2)
            box = (x + 3, row * 32 + 3, x + 60, row * 32 + 28)
            draw.rectangle(box, fill=_shade(one, rng))
    return image


def _spotlight(one: str, other: str, rng: Generator) -> Image.Image:
    x, y = _grid()
    u, v = rng.uniform(0.3, 0.7, 2)
    return _blend(np.exp(-12 * ((x - u) ** 2 + (y - v) ** 2)), one, other)


def _plaid(one: str, other: str, rng: Generator) -> Image.Image:
    x, y = _grid()
    count = rng.uniform(4, 8)
    return _blend(0.25 * (np.sin(6.3 * count * x) + np.sin(6.3 * count * y)) + 0.5, one, other)


def _hills(one: str, other: str, rng: Generator) -> Image.Image:
    x, y = _grid()
    share = np.zeros_like(x)
    for height in (0.45, 0.6, 0.75):
        line = height + 0.08 * np.sin(2 * math.pi * (rng.uniform(1, 3) * x + rng.uniform()))
        share += (y > line) / 3
    return _blend(share, one, other)


def _confetti(one: str, other: str, rng: Generator) -> Image.Image:
    image = _ground(COLOURS[other])
    draw = ImageDraw.Draw(image)
    for x, y in rng.uniform(0, SIZE, (50, 2)):
        draw.polygon(_corners("diamond", x, y, 9, rng.uniform(0, 3)), fill=_shade(one, rng))
    return image


def _tree(one: str, other: str, rng: Generator) -> Image.Image:
    image = _ground(_shade(other, rng))
    draw = ImageDraw.Draw(image)
    draw.rectangle((116, 150, 140, 240), fill=COLOURS["brown"])
    for x, y in [(128, 90), (90, 120), (166, 120), (128, 130)]:
        draw.polygon(_corners("disc", x, y, 46, 0), fill=_shade(one, rng))
    return image


def _boat(one: str, other: str, rng: Generator) -> Image.Image:
    image = _ground(_shade(other, rng))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 180, SIZE, SIZE), fill=COLOURS["navy"])
    draw.polygon([(50, 165), (206, 165), (176, 205), (80, 205)], fill=_shade(one, rng))
    draw.polygon([(126, 50), (126, 155), (196, 155)], fill=COLOURS["beige"])
    return image


def _window(one: str, other: str, rng: Generator) -> Image.Image:
    image = _ground(_shade(other, rng))
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 40, 196, 216), fill=COLOURS["brown"])
    for x in (70, 132):
        for y in (50, 132):
            draw.rectangle((x, y, x + 54, y + 74), fill=_shade(one, rng))
    return image


def _bars(one: str, other: str, rng: Generator) -> Image.Image:
    image = _ground(COLOURS[other])
    draw = ImageDraw.Draw(image)
    for number, height in enumerate(rng.uniform(0.2, 0.85, 6)):
        x = 20 + number * 38
        draw.rectangle((x, SIZE * (1 - height), x + 26, SIZE - 16), fill=COLOURS[one])
    return image


def _marble(one: str, other: str, rng: Generator) -> Image.Image:
    soft = Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8))
    field = np.asarray(soft.resize((SIZE, SIZE), Image.Resampling.BICUBIC)) / 255
    return _blend(0.5 + 0.5 * np.sin(25 * field + 8 * _grid()[0]), one, other)


def _fish(one: str, other: str, rng: Generator) -> Image.Image:
    image = _ground(_shade(other, rng))
    draw = ImageDraw.Draw(image)
    for x, y in rng.uniform(60, 196, (4, 2)):
        colour = _shade(one, rng)
        draw.polygon(_corners("oval", x, y, 26, 0), fill=colour)
        draw.polygon([(x + 20, y), (x + 44, y - 16), (x + 44, y + 16)], fill=colour)
    return image


Scene = Callable[[str, str, Generator], Image.Image]

_KINDS: dict[str, tuple[Scene, tuple[tuple[str, str], tuple[str, str]]]] = {
    "slanted {} bands on {} cloth": (_diagonals, (("pink", "grey"), ("navy", "lime"))),
    "a wall of {} bricks with {} joints": (_bricks, (("maroon", "beige"), ("grey", "navy"))),
    "a {} glow in {} darkness": (_spotlight, (("gold", "navy"), ("turquoise", "maroon"))),
    "a {} and {} plaid blanket": (_plaid, (("brown", "beige"), ("teal", "pink"))),
    "{} hills under a {} sky": (_hills, (("teal", "beige"), ("brown", "turquoise"))),
    "{} confetti on a {} table": (_confetti, (("lime", "brown"), ("pink", "teal"))),
    "a tree with {} leaves before a {} wall": (_tree, (("lime", "grey"), ("gold", "turquoise"))),
    "a {} sailing boat in {} evening light": (_boat, (("maroon", "pink"), ("teal", "gold"))),
    "a window with {} panes in a {} house": (_window, (("turquoise", "beige"), ("gold", "teal"))),
    "a chart with {} columns on {} paper": (_bars, (("navy", "beige"), ("maroon", "lime"))),
    "{} and {} marble": (_marble, (("grey", "beige"), ("teal", "navy"))),
    "four {} fish in {} water": (_fish, (("gold", "teal"), ("pink", "navy"))),
}

_SCENES = {
    caption.format(*colours[number]): partial(draw, *colours[number])
    for number in range(2)
    for caption, (draw, colours) in _KINDS.items()
}
