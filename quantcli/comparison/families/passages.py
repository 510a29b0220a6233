"""Long texts: joined, and cut into passages of equal length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice, takewhile

import torch

from quantcli.comparison.families.embeddings import text_feeds
from quantcli.comparison.families.family import Setting
from quantcli.comparison.inputs.feeds import Feed
from quantcli.comparison.inputs.kit import Kit

BETWEEN = "\n\n"
"""What stands between texts that are joined."""


def long_text_feeds(setting: Setting) -> tuple[list[Feed], bool]:
    """Return a feed for each text, or for each passage if the built-in texts are to be joined."""
    joined = setting.kit.text_tokens is not None and "text" in setting.samples.built_in
    if not joined or setting.kit.tokenizer is None:
        return text_feeds(setting)
    texts = [item.value for item in setting.samples.texts]
    found = islice(passages(setting.kit, texts), setting.passages)
    return [
        Feed(
            name=f"passage {number}",
            output="text",
            inputs={"input_ids": tokens, "attention_mask": torch.ones_like(tokens)},
        )
        for number, tokens in enumerate(found, start=1)
    ], False


def passages(kit: Kit, texts: Sequence[str]) -> Iterator[torch.Tensor]:
    """Join texts and yield passages of `kit.text_tokens` tokens or what the model takes.

    Each is (1, tokens), and starts and ends as the tokenizer starts and ends a text. The last one
    is shorter.
    """
    start, end = _ends(kit, texts[0])
    stream = chain.from_iterable(
        _strip(kit.check_twin("a passage", text + BETWEEN), start, end) for text in texts
    )
    room = max(1, (kit.max_tokens or 1) - len(start) - len(end))
    while tokens := list(islice(stream, room)):
        yield torch.tensor([[*start, *tokens, *end]])


def _ends(kit: Kit, text: str) -> tuple[list[int], list[int]]:
    """Return the special tokens that the tokenizer puts before and after every text."""
    empty, whole = kit.check_twin("", ""), kit.check_twin("a passage", text)
    pairs = zip(empty, whole, strict=False)
    start = [token for token, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    end = empty[len(start) :]
    return start, end if end and whole[-len(end) :] == end else []


def _strip(tokens: list[int], start: list[int], end: list[int]) -> list[int]:
    return tokens[len(start) : len(tokens) - len(end)]
