"""Texts to calibrate with: hand-written ones, and Python's own documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

import numpy as np

from quantcli.comparison.samples.calibration_texts import CALIBRATION_TEXTS

BLOCK = 2000
"""Characters of a block of documentation, about: some paragraphs of one topic."""

SHORT = 3
"""Hand-written texts between two blocks, in joined texts."""

SENTENCE = 40
"""Characters of the shortest sentence of documentation: what is shorter is a heading or a sign."""

_END_OF_SENTENCE = re.compile(r"(?<=[.:])\s(?=[A-Z])")


def calibration_texts(seed: int) -> list[str]:
    """Return the hand-written texts, then sentences of documentation, in orders by the seed.

    Sentences, because every token counts the same in a second moment: a few whole pages would
    outweigh all the other texts.
    """
    documentation = [*dict.fromkeys(_sentences())]
    return [*_shuffled(CALIBRATION_TEXTS, seed), *_shuffled(documentation, seed)]


def joined_texts(seed: int) -> list[str]:
    """Return blocks of documentation to be joined, each followed by a few hand-written texts."""
    short = _shuffled(CALIBRATION_TEXTS, seed)
    groups = [short[i : i + SHORT] for i in range(0, len(short), SHORT)]
    mixed = zip_longest(_blocks(seed), groups, fillvalue=())
    return [*chain.from_iterable((block, *group) for block, group in mixed)]


def _sentences() -> Iterator[str]:
    """Yield the first sentence of each paragraph, on one line."""
    for page in _pages():
        for paragraph in page.split("\n\n"):
            sentence = _END_OF_SENTENCE.split(" ".join(paragraph.split()))[0]
            if len(sentence) >= SENTENCE:
                yield sentence


def _blocks(seed: int) -> list[str]:
    return _shuffled([block for page in _pages() for block in _split(page)], seed)


def _pages() -> list[str]:
    from pydoc_data.topics import topics

    return [topics[name] for name in sorted(topics)]


def _shuffled(texts: Sequence[str], seed: int) -> list[str]:
    return [texts[i] for i in np.random.default_rng(seed).permutation(len(texts))]


def _split(text: str) -> Iterator[str]:
    """Yield blocks of whole paragraphs of a text."""
    block = ""
    for paragraph in text.split("\n\n"):
        if block and len(block) + len(paragraph) > BLOCK:
            yield block
            block = ""
        block = f"{block}\n\n{paragraph}" if block else paragraph
    if block:
        yield block
