"""Models with a head, of the families that are used most: int8 and int4, with embeddings or not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import quantcli
from zoo.model_types import config_class
from zoo.nearness import cosine, differing
from zoo.outcome import Failure, step
from zoo.ran import save_and_load
from zoo.reference import align, in_memory
from zoo.small import Small, main_output, make_small, run

FAMILIES = (
    "bert",
    "roberta",
    "distilbert",
    "deberta-v2",
    "t5",
    "bart",
    "gpt2",
    "llama",
    "mistral",
    "mixtral",
    "qwen3",
    "qwen3_moe",
    "gemma3",
    "phi",
    "gpt_oss",
    "vit",
    "clip",
    "siglip",
    "whisper",
    "wav2vec2",
)

MAPPINGS = (
    "CAUSAL_LM",
    "MASKED_LM",
    "SEQUENCE_CLASSIFICATION",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "IMAGE_TEXT_TO_TEXT",
    "SPEECH_SEQ_2_SEQ",
    "CTC",
    "IMAGE_CLASSIFICATION",
    "ZERO_SHOT_IMAGE_CLASSIFICATION",
)
"""What transformers calls the classes with a head, in `MODEL_FOR_..._MAPPING`."""

WEIGHTS = ("int8", "int4")


def heads(family: str) -> list[str]:
    """Return the names of a family's classes with a head."""
    from transformers.models.auto import modeling_auto

    found: dict[str, None] = {}
    for mapping in MAPPINGS:
        classes = getattr(modeling_auto, f"MODEL_FOR_{mapping}_MAPPING")
        kind = classes.get(config_class(family), None)
        for each in kind if isinstance(kind, tuple) else (kind,):
            if each is not None:
                found[each.__name__] = None
    return list(found)


def run_heads(family: str) -> dict[str, Any]:
    """Return a row for each class of a family with a head: figures, or why it was not run."""
    return {"rows": [_row(family, name) for name in heads(family)]}


def _row(family: str, name: str) -> dict[str, Any]:
    import transformers

    try:
        small = make_small(family, getattr(transformers, name))
        return {"class": name, "cells": list(_cells(small))}
    except Failure as failure:
        return {"class": name, "failed": failure.step, "reason": failure.reason}


def _cells(small: Small) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        original = Path(folder) / "original"
        save_and_load(small, original)
        for weights in WEIGHTS:
            for embeddings in ("keep", weights):
                output = Path(folder) / f"{weights}-{embeddings}"
                yield _cell(small, original, output, weights, embeddings)


def _cell(
    small: Small, original: Path, output: Path, weights: str, embeddings: str
) -> dict[str, Any]:
    with step(f"quantize to {weights}"):
        frozen = quantcli.quantize(
            original, output=output, jobs=1, weights=weights, embeddings=embeddings
        )
        loaded = quantcli.load(frozen)
    with step(f"forward in {weights}"):
        outputs = run(loaded, small.inputs)
    main = main_output(small.outputs)
    cell: dict[str, Any] = {
        "ratio": frozen.plan.ratio,
        "coverage": frozen.plan.coverage,
        "cosine": cosine(small.outputs[main], outputs[main]),
    }
    if embeddings == "keep":
        cell["differs"] = _differs(small, original, loaded, outputs, frozen.plan, weights)
    return cell


def _differs(
    small: Small, original: Path, loaded: Any, outputs: Any, plan: Any, weights: str
) -> list[str]:
    with step("in memory"):
        model = type(small.model).from_pretrained(original).eval()
        reference = in_memory(model, plan, weights)
        differs = differing(outputs, run(reference, small.inputs))
        if differs:
            align(loaded)
            align(reference)
            differs = differing(*(run(side, small.inputs) for side in (loaded, reference)))
    return differs
