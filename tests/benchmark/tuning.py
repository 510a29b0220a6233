"""The smallest models that meet a gate: how small they are, and how good on other texts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark.calibrated import (
    calibrating,
    calibration,
    few,
    held_passages,
    held_sentences,
    home_of,
    jsonl,
    language_model,
)
from benchmark.experiments import PARTS, QUANTCLI, Setting
from benchmark.runner import Experiment, Figures, Row, Side, timed


def tune_minilm(setting: Setting) -> Experiment:
    model, home = Path(setting.minilm()), home_of(setting)
    gate, held = "cosine_text>=0.995", held_sentences(setting, home)
    what = f"tune MiniLM, {gate}: "
    return _against_int8(
        model,
        tuned(model, gate, home, few(setting), {"data": str(held)}),
        what,
        0.8,
        Row(
            what=f"{what}mean cosine, docstrings",
            bar=0.995,
            at_least=True,
            ours=("tuned", "cosine_text"),
            unit="",
        ),
    )


def tune_smollm2(setting: Setting) -> Experiment:
    model, home = language_model(setting), home_of(setting)
    gate, held = "kl_mean<=0.05", held_passages(setting, home, model)
    made = calibration(home, model, jsonl(home / "c.jsonl", calibrating(model, setting)))
    options = ["--calibration", made, "--data", held, *few(setting)]
    what = f"tune SmolLM2, {gate}, docstrings: "
    return _against_int8(
        model,
        tuned(model, gate, home, options, {"data": str(held)}),
        what,
        0.75,
        Row(what=f"{what}KL", bar=0.05, ours=("tuned", "kl_mean"), unit=""),
        Row(
            what="tune: predicted bytes / written bytes",
            bar=1.0,
            ours=("tuned", "bytes"),
            theirs=("tuned", "written"),
            unit="bytes",
        ),
    )


def _against_int8(model: Path, side: Side, what: str, bar: float, *rows: Row) -> Experiment:
    """Compare the bytes of a tuned model with those of int8; `rows` are what else is measured."""
    nbytes = Row(
        what=f"{what}bytes / of int8",
        bar=bar,
        ours=("tuned", "bytes"),
        theirs=("int8", "bytes"),
        unit="bytes",
    )
    sides = {"tuned": side, "int8": all_int8(model)}
    return Experiment(sides=sides, once=True, rows=[nbytes, *rows])


def tuned(
    model: Path, gate: str, home: Path, options: list[Any], samples: Mapping[str, Any]
) -> Side:
    """Tune, quantize by the recipe, and compare: bytes as tune says, and what it came to."""
    recipe = home / "recipe.toml"
    asked = {"model": str(model), "options": {"recipe": str(recipe)}, "samples": samples}

    def side(output: Path) -> Figures:
        words = [QUANTCLI, "tune", model, "--gate", gate, "-o", recipe, "--overwrite", *options]
        found = json.loads(timed([*map(str, words), "--json", "-q"])[1])
        words = [sys.executable, PARTS / "measure_rounding.py", json.dumps(asked), output]
        made = json.loads(timed(words)[1])
        return made["metrics"] | {"bytes": found["bytes"], "written": made["bytes"]}

    return side


def all_int8(model: Path) -> Side:
    """Predict the bytes with every weight in int8, embeddings too."""

    def side(_: Path) -> Figures:
        words = [QUANTCLI, "size", model, "-w", "int8", "--embeddings", "int8", "--json"]
        (found,) = json.loads(timed(words)[1])["predictions"]
        return {"bytes": found["bytes"]}

    return side


def every() -> Iterator[tuple[str, Callable[[Setting], Experiment]]]:
    """Yield the experiments of this file, by the names that `--only` takes."""
    yield "tune-minilm", tune_minilm
    yield "tune-smollm2", tune_smollm2
