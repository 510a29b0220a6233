"""Stories of a small grammar: English enough to tokenize, regular enough to be learnt."""

from __future__ import annotations

import random
from collections.abc import Iterable

ANIMALS = ["cat", "dog", "fox", "bird", "horse", "mouse", "bear", "rabbit", "goat", "duck"]
QUALITIES = ["small", "big", "brown", "grey", "old", "young", "quick", "quiet"]
PLACES = ["river", "forest", "garden", "house", "hill", "road", "lake", "village"]
TIMES = ["One day", "In the morning", "At night", "After the rain", "In winter"]
FINDS = {
    "an apple": "eat it",
    "a nest": "leave it alone",
    "a ball": "play with it",
    "a boat": "sit in it",
    "a blanket": "sleep on it",
    "a stream": "drink from it",
}
FEELINGS = {
    "happy": "it sang a song",
    "tired": "it lay down to sleep",
    "hungry": "it looked for food",
    "afraid": "it ran back home",
    "curious": "it looked around",
}


def _one(draw: random.Random, names: Iterable[str]) -> str:
    """Draw a name, the first ones more often: without ties, the likeliest word is a sure one."""
    known = list(names)
    return draw.choices(known, [0.7**rank for rank in range(len(known))])[0]


def _friend(draw: random.Random, animal: str) -> str:
    other = _one(draw, [name for name in ANIMALS if name != animal])
    verb = _one(draw, ["met", "saw", "followed"])
    return f"There it {verb} a {other}, and the {other} {verb} the {animal} too."


def _find(draw: random.Random, animal: str) -> str:
    thing = _one(draw, FINDS)
    return f"There it found {thing}. The {animal} wanted to {FINDS[thing]}."


def _feeling(draw: random.Random, animal: str) -> str:
    feeling = _one(draw, FEELINGS)
    return f"The {animal} was {feeling}, so {FEELINGS[feeling]}."


def story(draw: random.Random) -> str:
    """Write a story: what came first decides most of what follows."""
    animal, place = _one(draw, ANIMALS), _one(draw, PLACES)
    opening = f"{_one(draw, TIMES)} a {_one(draw, QUALITIES)} {animal} went to the {place}."
    middle = draw.choices([_find, _friend], [2, 1])[0](draw, animal)
    ending = f"Then it left the {place} and went home."
    parts = [opening, middle, _feeling(draw, animal), ending]
    # Some begin in the middle, so that a prompt may be any sentence.
    return " ".join(parts[draw.choice([0, 0, 0, 0, 1, 1, 2]) :])


def stories(seed: int, count: int) -> list[str]:
    """Write different stories, always the same ones for a seed."""
    draw = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[story(draw)] = None
    return list(found)


def split(seed: int, count: int, held_out: int) -> tuple[list[str], list[str]]:
    """Write stories to train on, and others that are not among them."""
    every = stories(seed, count + held_out)
    return every[held_out:], every[:held_out]
