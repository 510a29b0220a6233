"""A tiny T5 that translates English sentences into a toy language.

A noun comes before its adjective there, the verb comes last, and articles are dropped: word by
word is not enough.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from typing import TYPE_CHECKING

from trained import english, training

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

STEPS, BATCH, RATE = 400, 48, 2e-3
SENTENCES, HELD_OUT = 8000, 100
UNLIKELY = -20.0
NOUNS = {
    "cat": "miku",
    "dog": "vano",
    "bird": "tiri",
    "horse": "kabalo",
    "mouse": "pepi",
    "fish": "luma",
    "tree": "doro",
    "house": "kasa",
    "river": "sela",
    "stone": "goto",
}
ADJECTIVES = {
    "red": "rusa",
    "blue": "bela",
    "small": "nini",
    "big": "muna",
    "old": "zeno",
    "young": "jofa",
    "white": "wila",
    "black": "nero",
}
VERBS = {
    "sees": "vidu",
    "finds": "trovu",
    "follows": "segu",
    "likes": "amu",
    "hears": "odu",
    "hides": "kelu",
}


def _thing(draw: random.Random) -> tuple[str, str]:
    noun, adjective = draw.choice(list(NOUNS)), draw.choice([*ADJECTIVES, "", "", ""])
    words = ["the", *([adjective] if adjective else []), noun]
    return " ".join(words), f"{NOUNS[noun]} {ADJECTIVES.get(adjective, '')}".strip()


def pair(draw: random.Random) -> tuple[str, str]:
    """Write a sentence and its translation."""
    verb = draw.choice(list(VERBS))
    (one, first), (other, second) = _thing(draw), _thing(draw)
    return f"{one} {verb} {other}.", f"{first} {second} {VERBS[verb]}."


def pairs(seed: int = 0) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the pairs to train on, and others that are not among them."""
    draw = random.Random(seed)
    found: dict[tuple[str, str], None] = {}
    while len(found) < SENTENCES + HELD_OUT:
        found[pair(draw)] = None
    every = list(found)
    return every[HELD_OUT:], every[:HELD_OUT]


def tokenizer(texts: list[str]) -> PreTrainedTokenizerBase:
    """Make a Unigram tokenizer as T5 has it: words begin with ▁, a text ends with </s>.

    Its pieces are the words of the texts, at their likelihood, and every printable letter.
    """
    from transformers import T5Tokenizer

    counts = Counter(word for text in texts for word in re.findall(r"\w+", text))
    total = counts.total()
    words = [(f"▁{word}", math.log(count / total)) for word, count in counts.most_common()]
    letters = [("▁", UNLIKELY), *((chr(code), UNLIKELY) for code in range(33, 127))]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return T5Tokenizer(vocab=[*special, *words, *letters], extra_ids=0, model_max_length=64)


def train(folder: Path) -> None:
    """Train the model on pairs and write it."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    known, _ = pairs()
    sources, targets = zip(*known, strict=True)
    stories = english.stories(seed=1, count=1000)
    tokens = tokenizer([*sources[:2000], *targets[:2000], *stories])
    config = T5Config(
        vocab_size=len(tokens),
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        d_model=128,
        d_kv=32,
        d_ff=256,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        feed_forward_proj="gated-gelu",
    )
    model = T5ForConditionalGeneration(config)
    source = tokens(list(sources), padding=True, return_tensors="pt")
    target = tokens(list(targets), padding=True, return_tensors="pt")
    labels = target["input_ids"].masked_fill(target["attention_mask"] == 0, -100)

    def batch():
        rows = training.pick(len(known), BATCH)
        return {name: source[name][rows] for name in source} | {"labels": labels[rows]}

    with torch.no_grad():
        # T5 draws its embedding as wide as its residual stream: nothing else would be heard.
        model.shared.weight.mul_(0.3)
    # Word order is in these few numbers, which move too slowly at the rate of the rest.
    rates = {"relative_attention_bias.weight": 10 * RATE}
    training.fit(model, batch, steps=STEPS, rate=RATE, rates=rates)
    model.generation_config.max_length = 32
    training.save(folder, model, tokens)


def quality(folder: Path) -> dict[str, float]:
    """Return the share of held-out sentences that are translated without a mistake."""
    from transformers import AutoTokenizer, T5ForConditionalGeneration

    _, unknown = pairs()
    tokens = AutoTokenizer.from_pretrained(folder)
    model = T5ForConditionalGeneration.from_pretrained(folder)
    source = tokens([text for text, _ in unknown], padding=True, return_tensors="pt")
    written = model.generate(**source, do_sample=False)
    translated = tokens.batch_decode(written, skip_special_tokens=True)
    right = sum(ours == theirs for ours, (_, theirs) in zip(translated, unknown, strict=True))
    return {"exact": right / len(unknown)}
