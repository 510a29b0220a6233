"""A tiny CLIP that tells drawn shapes by their captions."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from trained import english, shapes, training

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from transformers import CLIPProcessor, CLIPTokenizer

STEPS, BATCH, RATE = 320, 96, 2e-3
VIEWS = 16
HELD_OUT = 48
VOCABULARY = 800
PIXELS = 32


def subjects() -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """Return the captions to train on, and others whose words occur there in other company."""
    every = shapes.captions()
    random.Random(0).shuffle(every)
    return every[HELD_OUT:], every[:HELD_OUT]


def tokenizer(texts: list[str]) -> CLIPTokenizer:
    """Train a BPE tokenizer as CLIP has it: lower case, words end with </w>."""
    import json

    from tokenizers import pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    bare = CLIPTokenizer().backend_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    bare.train_from_iterator(texts, trainer)
    model = json.loads(bare.to_str())["model"]
    vocabulary = model["vocab"]
    # The trainer knows an ending letter only where it saw one, and any byte may end a word.
    for letter in pre_tokenizers.ByteLevel.alphabet():
        vocabulary.setdefault(f"{letter}</w>", len(vocabulary))
    merges = [tuple(merge) for merge in model["merges"]]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=64)


def processor(texts: list[str]) -> CLIPProcessor:
    """Make the tokenizer and the image processor."""
    from transformers import CLIPProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    side = {"height": PIXELS, "width": PIXELS}
    images = CLIPImageProcessorPil(size={"shortest_edge": PIXELS}, crop_size=side)
    return CLIPProcessor(images, tokenizer(texts))


def inputs(
    process: CLIPProcessor, what: list[tuple[str, str, str]], seed: int
) -> dict[str, torch.Tensor]:
    """Return a caption and an image for each subject, as the model takes them."""
    rng = random.Random(seed)
    images = [shapes.draw(*subject, rng) for subject in what]
    texts = [shapes.say(*subject) for subject in what]
    return process(text=texts, images=images, padding=True, return_tensors="pt")


def train(folder: Path) -> None:
    """Train the model on several views of each subject and write it."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    known, _ = subjects()
    captions = [shapes.say(*subject) for subject in shapes.captions()]
    process = processor([*captions, *english.stories(seed=2, count=1000)])
    tokens = process.tokenizer
    layers: dict[str, Any] = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    text = {
        **layers,
        "vocab_size": len(tokens),
        "max_position_embeddings": 64,
        "pad_token_id": tokens.pad_token_id,
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
    }
    vision = {**layers, "image_size": PIXELS, "patch_size": 8}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=128)
    model = CLIPModel(config)
    views = [inputs(process, known, seed) for seed in range(1, 1 + VIEWS)]
    pixels = torch.stack([view["pixel_values"] for view in views])

    def batch():
        rows = training.pick(len(known), BATCH)
        view = torch.randint(VIEWS, (len(rows),))
        return {
            "input_ids": views[0]["input_ids"][rows],
            "attention_mask": views[0]["attention_mask"][rows],
            "pixel_values": pixels[view, rows],
            "return_loss": True,
        }

    # A shape is where its pixels are, and CLIP draws positions much fainter than pixels.
    rates = {"position_embedding.weight": 10 * RATE}
    training.fit(model, batch, steps=STEPS, rate=RATE, rates=rates)
    training.save(folder, model, process)


def quality(folder: Path) -> dict[str, float]:
    """Return how often an unseen image of an unseen subject finds its caption, and the reverse."""
    import torch
    from transformers import AutoProcessor, CLIPModel

    _, unknown = subjects()
    process = AutoProcessor.from_pretrained(folder, backend="pil")
    model = CLIPModel.from_pretrained(folder)
    with torch.no_grad():
        scores = model(**inputs(process, unknown, seed=0)).logits_per_image
    right = torch.arange(len(unknown))
    return {
        "image_to_text": (scores.argmax(1) == right).float().mean().item(),
        "text_to_image": (scores.argmax(0) == right).float().mean().item(),
    }
