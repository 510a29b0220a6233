"""Passages that a language model writes itself, to be calibrated with.

As LLM-QAT does it (Liu et al. 2023, arXiv 2305.17888): what a model writes is like what it was
trained on, whatever that was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from quantcli.comparison.engine.feeding import Fed
from quantcli.comparison.engine.seeds import seeded
from quantcli.comparison.families.family import CannotGenerateError, ask
from quantcli.comparison.inputs.feeds import Feed, hash_feeds
from quantcli.comparison.inputs.kit import Kit
from quantcli.text import plural

BATCH = 64
"""Passages that are written at a time, at most."""

BATCH_TOKENS = 16384
"""Tokens that are written at a time, at most: the model keeps keys and values of all of them."""


def write_samples(
    fed: Fed, model: Any, max_tokens: int, advance: Callable[[int], None] = lambda _: None
) -> Fed:
    """Let a loaded model write passages of `max_tokens` tokens. Returns `fed` with them.

    The model draws each token from its own distribution, at temperature 1, from a start token on.
    The same seed gives the same passages. `advance` is called with the number of passages that
    were written. Raises `CannotGenerateError` if the model cannot.
    """
    count = fed.options.samples.limit or fed.way.task.calibration["text"]
    seed, length = fed.options.samples.seed, min(max_tokens, fed.kit.max_tokens or max_tokens)
    starts = _starts(model, fed.kit, count, seed)
    feeds: list[Feed] = []
    for index, batch in enumerate(starts.split(max(1, min(BATCH, BATCH_TOKENS // length)))):
        with torch.inference_mode(), seeded(seed + index):
            feeds += _feeds(_continue(model, batch, length), len(feeds))
        advance(len(batch))
    return replace(
        fed,
        feeds=tuple(feeds),
        sample_hash=hash_feeds(feeds, fed.task),
        notices=(*fed.notices, f"the model wrote {plural(count, 'passage')} itself"),
    )


def _starts(model: Any, kit: Kit, count: int, seed: int) -> torch.Tensor:
    """Return the first token of each passage, (count, 1): BOS, or random without one."""
    known = getattr(kit.tokenizer, "bos_token_id", None)
    first = model.config.get_text_config().bos_token_id if known is None else known
    if first is not None:
        return torch.full((count, 1), int(first))
    special = set(getattr(kit.tokenizer, "all_special_ids", ()))
    size = int(model.config.get_text_config().vocab_size)
    plain = torch.tensor([token for token in range(size) if token not in special])
    generator = torch.Generator().manual_seed(seed)
    return plain[torch.randint(len(plain), (count, 1), generator=generator)]


def _continue(model: Any, starts: torch.Tensor, length: int) -> torch.Tensor:
    """Return passages, (batch, length), drawn token by token. No token ends one."""
    from transformers import GenerationConfig

    if length == 1:
        return starts
    config = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        repetition_penalty=1.0,
        num_beams=1,
        max_new_tokens=length - 1,
        eos_token_id=int(model.config.get_text_config().vocab_size),
        pad_token_id=0,
    )
    inputs = {"input_ids": starts, "attention_mask": torch.ones_like(starts)}
    found = ask(model, model.generate, inputs, CannotGenerateError, generation_config=config)
    return torch.as_tensor(found).cpu()


def _feeds(passages: torch.Tensor, before: int) -> list[Feed]:
    return [
        Feed(
            name=f"self-generated passage {before + number}",
            output="text",
            inputs={"input_ids": tokens, "attention_mask": torch.ones_like(tokens)},
        )
        for number, tokens in enumerate(passages.split(1), start=1)
    ]
