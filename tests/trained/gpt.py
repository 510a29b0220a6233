"""A tiny GPT with an untied head and a byte-level tokenizer, which tells stories of a grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trained import english, training

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

STEPS, BATCH, RATE = 300, 16, 4e-3
VOCABULARY = 512
STORIES, HELD_OUT = 3000, 100


def tokenizer(texts: list[str]) -> PreTrainedTokenizerBase:
    """Train a byte-level BPE tokenizer that begins a text with a token of its own."""
    from tokenizers import ByteLevelBPETokenizer, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>"]
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        texts, vocab_size=VOCABULARY, special_tokens=special, show_progress=False
    )
    trained._tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        model_max_length=128,
    )


def train(folder: Path) -> None:
    """Train the model on stories and write it."""
    from transformers import LlamaConfig, LlamaForCausalLM

    texts, _ = english.split(0, STORIES, HELD_OUT)
    tokens = tokenizer(texts)
    config = LlamaConfig(
        vocab_size=len(tokens),
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    encoded = tokens([f"{text}</s>" for text in texts], padding=True, return_tensors="pt")
    ids = encoded["input_ids"]
    labels = ids.masked_fill(ids == 0, -100)

    def batch():
        rows = training.pick(len(ids), BATCH)
        return {"input_ids": ids[rows], "labels": labels[rows]}

    training.fit(model, batch, steps=STEPS, rate=RATE)
    training.save(folder, model, tokens)


def quality(folder: Path) -> dict[str, float]:
    """Return the perplexity of held-out stories, and that of a model that knows nothing."""
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    _, texts = english.split(0, STORIES, HELD_OUT)
    tokens = AutoTokenizer.from_pretrained(folder)
    model = LlamaForCausalLM.from_pretrained(folder)
    encoded = tokens(texts, padding=True, return_tensors="pt")
    labels = encoded["input_ids"].masked_fill(encoded["attention_mask"] == 0, -100)
    with torch.no_grad():
        loss = model(**encoded, labels=labels).loss
    return {"perplexity": loss.exp().item(), "uniform": float(len(tokens))}
