"""A tiny Whisper that names the notes of a tune."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from trained import english, tones, training

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from transformers import WhisperFeatureExtractor, WhisperTokenizer

STEPS, BATCH, RATE = 240, 32, 2e-3
VIEWS, HELD_OUT = 4, 43
VOCABULARY = 400
MELS = 40


def tokenizer(texts: list[str]) -> WhisperTokenizer:
    """Train a byte-level BPE tokenizer with the special tokens of an English-only Whisper."""
    import json

    from tokenizers import ByteLevelBPETokenizer
    from transformers import WhisperTokenizer

    special = ["<|endoftext|>", "<|startoftranscript|>", "<|transcribe|>", "<|translate|>"]
    special += ["<|nospeech|>", "<|notimestamps|>"]
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(texts, vocab_size=VOCABULARY, show_progress=False)
    model = json.loads(trained._tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    # Last, as Whisper has them: its tokenizer takes all that comes after for timestamps.
    vocabulary = model["vocab"] | {name: len(model["vocab"]) + n for n, name in enumerate(special)}
    return WhisperTokenizer(
        vocab=vocabulary,
        merges=merges,
        pad_token=special[0],
        additional_special_tokens=special,
        model_max_length=32,
    )


def hear(extract: WhisperFeatureExtractor, tunes: list[tuple[str, ...]], seed: int) -> torch.Tensor:
    """Return tunes, played in a way of its own for a seed, as the model takes them."""
    draw = random.Random(seed)
    sounds = [tones.play(tune, draw) for tune in tunes]
    return extract(sounds, sampling_rate=tones.RATE, return_tensors="pt")["input_features"]


def train(folder: Path) -> None:
    """Train the model on several performances of each tune and write it."""
    import torch
    from transformers import (
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
    )

    known, _ = tones.split(HELD_OUT)
    texts = [" ".join(tune) for tune in known]
    tokens = tokenizer([*texts, *english.stories(seed=3, count=500)])
    extract = WhisperFeatureExtractor(feature_size=MELS, chunk_length=tones.SECONDS)
    end = tokens.eos_token_id
    side = {"layers": 2, "attention_heads": 4, "ffn_dim": 256}
    config = WhisperConfig(
        **{f"{of}_{key}": value for of in ("encoder", "decoder") for key, value in side.items()},
        vocab_size=len(tokens),
        d_model=128,
        num_mel_bins=MELS,
        max_source_positions=50,
        max_target_positions=32,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=tokens.convert_tokens_to_ids("<|startoftranscript|>"),
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    encoded = tokens(texts, padding=True, return_tensors="pt")
    # The model puts the first token before them by itself.
    labels = encoded["input_ids"].masked_fill(encoded["attention_mask"] == 0, -100)[:, 1:]
    heard = torch.stack([hear(extract, known, seed) for seed in range(1, 1 + VIEWS)])

    def batch():
        rows, view = training.pick(len(known), BATCH), torch.randint(VIEWS, (BATCH,))
        return {"input_features": heard[view, rows], "labels": labels[rows]}

    training.fit(model, batch, steps=STEPS, rate=RATE)
    model.generation_config.update(
        is_multilingual=False,
        no_timestamps_token_id=tokens.convert_tokens_to_ids("<|notimestamps|>"),
        max_length=32,
    )
    training.save(folder, model, WhisperProcessor(extract, tokens))


def quality(folder: Path) -> dict[str, float]:
    """Return the share of unseen tunes whose notes are all named."""
    from transformers import AutoProcessor, WhisperForConditionalGeneration

    _, unknown = tones.split(HELD_OUT)
    process = AutoProcessor.from_pretrained(folder)
    model = WhisperForConditionalGeneration.from_pretrained(folder)
    heard = hear(process.feature_extractor, unknown, seed=0)
    written = process.batch_decode(model.generate(heard), skip_special_tokens=True)
    right = sum(text.split() == [*tune] for text, tune in zip(written, unknown, strict=True))
    return {"exact": right / len(unknown)}
