"""Texts to calibrate with: hand-written ones, and Python's own documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

import numpy as np

from quantcli.comparison.samples.calibration_texts import CALIBRATION_TEXTS

BLOCK = 2000
"""Characters of a block of documentation, about: some paragraphs of one topic."""

SHORT = 3
"""Hand-written texts between two blocks, in joined texts."""


def calibration_texts(seed: int) -> list[str]:
    """Return the hand-written texts, then blocks of `pydoc_data.topics` in an order by the seed."""
    return [*CALIBRATION_TEXTS, *_blocks(seed)]


def joined_texts(seed: int) -> list[str]:
    """Return the same texts to be joined: each block is followed by a few hand-written ones."""
    short = _shuffled(CALIBRATION_TEXTS, seed)
    groups = [short[i : i + SHORT] for i in range(0, len(short), SHORT)]
    mixed = zip_longest(_blocks(seed), groups, fillvalue=())
    return [*chain.from_iterable((block, *group) for block, group in mixed)]


def _blocks(seed: int) -> list[str]:
    from pydoc_data.topics import topics

    return _shuffled([block for name in sorted(topics) for block in _split(topics[name])], seed)


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
