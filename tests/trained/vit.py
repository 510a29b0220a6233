"""A tiny ViT that names the colour and the shape in a drawn image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trained import clip, shapes, training

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from transformers import ViTImageProcessorPil

STEPS, BATCH, RATE = 300, 96, 2e-3
VIEWS = 12
PIXELS = 32
LABELS = sorted({f"{colour} {shape}" for colour, shape, _ in shapes.captions()})


def processor() -> ViTImageProcessorPil:
    """Make the image processor."""
    from transformers import ViTImageProcessorPil

    return ViTImageProcessorPil(size={"height": PIXELS, "width": PIXELS})


def inputs(
    process: ViTImageProcessorPil, what: list[tuple[str, str, str]], seed: int
) -> dict[str, torch.Tensor]:
    """Return an image and a label for each subject, as the model takes them."""
    import random

    import torch

    rng = random.Random(seed)
    images = [shapes.draw(*subject, rng) for subject in what]
    labels = [LABELS.index(f"{colour} {shape}") for colour, shape, _ in what]
    pixels = process(images, return_tensors="pt")["pixel_values"]
    return {"pixel_values": pixels, "labels": torch.tensor(labels)}


def train(folder: Path) -> None:
    """Train the model on several views of each subject and write it."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    known, _ = clip.subjects()
    process = processor()
    config = ViTConfig(
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=PIXELS,
        patch_size=8,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
    )
    model = ViTForImageClassification(config)
    views = [inputs(process, known, seed) for seed in range(1, 1 + VIEWS)]
    pixels = torch.stack([view["pixel_values"] for view in views])

    def batch():
        rows = training.pick(len(known), BATCH)
        view = torch.randint(VIEWS, (len(rows),))
        return {"pixel_values": pixels[view, rows], "labels": views[0]["labels"][rows]}

    training.fit(model, batch, steps=STEPS, rate=RATE)
    training.save(folder, model, process)


def quality(folder: Path) -> dict[str, float]:
    """Return how often colour and shape of an unseen image of an unseen subject are right."""
    import torch
    from transformers import ViTForImageClassification, ViTImageProcessorPil

    _, unknown = clip.subjects()
    given = inputs(ViTImageProcessorPil.from_pretrained(folder), unknown, seed=0)
    model = ViTForImageClassification.from_pretrained(folder)
    with torch.no_grad():
        right = model(**given).logits.argmax(1) == given["labels"]
    return {"exact": right.float().mean().item()}
