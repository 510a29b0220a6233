"""Where two texts differ, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def marked(texts: tuple[str, str]) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Return both texts as pieces, each with whether it differs from the other text."""
    words: list[list[str]] = [_WORDS.findall(text) for text in texts]
    sides: tuple[list[tuple[str, bool]], list[tuple[str, bool]]] = ([], [])
    matcher = SequenceMatcher(None, words[0], words[1], autojunk=False)
    for tag, *spans in matcher.get_opcodes():
        for side, own, (start, stop) in zip(sides, words, (spans[:2], spans[2:]), strict=True):
            if stop > start:
                side.append(("".join(own[start:stop]), tag != "equal"))
    return sides
