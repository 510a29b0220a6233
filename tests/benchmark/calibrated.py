"""What the experiments on fidelity share: models, texts, calibrations, and rounding by them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import smollm2
import texts
import trained
from benchmark.experiments import PARTS, QUANTCLI, Setting
from benchmark.runner import Figures, Side, timed

CALIBRATED, MEASURED = 64, 32
"""Passages of 256 tokens."""

SENTENCES = 200
"""Texts that embeddings are measured on."""

Error = Callable[[Mapping[str, float]], float]
"""The error in the metrics of a comparison."""


def rounded(
    model: Path,
    optimizer: str,
    samples: Mapping[str, Any],
    error: Error,
    made: Path | None = None,
    weights: str = "int4",
) -> Side:
    """Quantize, compare, and take the error; also the bytes."""
    options = {"weights": weights, "optimizer": optimizer, "calibration": made and str(made)}
    asked = {"model": str(model), "options": options, "samples": samples}

    def side(output: Path) -> Figures:
        words = [sys.executable, PARTS / "measure_rounding.py", json.dumps(asked), output]
        found = json.loads(timed(words)[1])
        return {"error": error(found["metrics"]), "bytes": found["bytes"]}

    return side


def few(setting: Setting) -> list[Any]:
    """Options for as few samples as will do for a toy."""
    return ["--samples", "2"] if setting.tiny else []


def gptq(made: Path) -> list[Any]:
    return ["--optimizer", "gptq", "--calibration", made]


def language_model(setting: Setting) -> Path:
    return trained.model("gpt") if setting.tiny else smollm2.model()


def counts(setting: Setting) -> tuple[int, int]:
    return (2, 2) if setting.tiny else (CALIBRATED, MEASURED)


def home_of(setting: Setting) -> Path:
    """Return a folder that goes when the experiment is over."""
    return Path(setting.opened.enter_context(TemporaryDirectory(dir=setting.cache)))


def held_passages(setting: Setting, home: Path, model: Path) -> Path:
    """Write the passages that a language model is measured on, likewise."""
    return jsonl(home / "held.jsonl", passages(model, texts.held_out(), counts(setting)[1]))


def held_sentences(setting: Setting, home: Path) -> Path:
    """Write the texts that embeddings are measured on: docstrings that nothing was tuned on."""
    return jsonl(home / "held.jsonl", sentences(texts.held_out(), 4 if setting.tiny else SENTENCES))


def calibrating(model: Path, setting: Setting) -> list[str]:
    return passages(model, texts.topics(), counts(setting)[0])


def calibration(home: Path, model: Path, data: Path) -> Path:
    """Calibrate with the passages in a file."""
    return calibrate(home, model, ["--data", data, "--max-tokens", texts.LENGTH])


def calibrate(home: Path, model: Path, options: list[Any], name: str = "model") -> Path:
    target = home / f"{name}.calibration"
    timed([QUANTCLI, "calibrate", model, "-o", target, "-q", *map(str, options)])
    return target


def passages(model: Path, text: str, count: int) -> list[str]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    found = texts.passages(tokenizer, text, count)
    return [tokenizer.decode(part[0]) for part in found]


def sentences(text: str, count: int) -> list[str]:
    """Return the first paragraphs of a text, as one line each."""
    lines = (" ".join(part.split()) for part in text.split("\n\n"))
    return [line for line in lines if len(line) > 20][:count]


def jsonl(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{json.dumps({'text': line})}\n" for line in lines))
    return path
