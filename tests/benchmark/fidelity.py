"""How much of a model is left at the same bytes: gptq against max and HQQ, and what it takes.

Nothing is measured on a text that anything was calibrated on: see `texts`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import texts
import trained
from benchmark.calibrated import (
    Error,
    calibrate,
    calibrating,
    calibration,
    few,
    gptq,
    held_passages,
    held_sentences,
    home_of,
    jsonl,
    language_model,
    rounded,
)
from benchmark.experiments import PARTS, QUANTCLI, Setting
from benchmark.runner import Experiment, Figures, Row, Side, timed


def smollm2_int4(setting: Setting) -> Experiment:
    model, home = language_model(setting), home_of(setting)
    held = held_passages(setting, home, model)
    made = calibration(home, model, jsonl(home / "c.jsonl", calibrating(model, setting)))
    measure = {"data": str(held)}
    what = "SmolLM2 int4, Quanto's group sizes: KL of gptq"
    return Experiment(
        sides={
            "max": rounded(model, "max", measure, kl),
            "hqq": rounded(model, "hqq", measure, kl),
            "gptq": rounded(model, "gptq", measure, kl, made),
        },
        once=True,
        rows=[
            Row(
                what=f"{what} / of max",
                bar=0.2,
                ours=("gptq", "error"),
                theirs=("max", "error"),
                unit="",
            ),
            Row(
                what=f"{what} / of HQQ",
                bar=0.22,
                ours=("gptq", "error"),
                theirs=("hqq", "error"),
                unit="",
            ),
            Row(
                what="SmolLM2 int4: bytes of gptq / of max",
                bar=1.0,
                ours=("gptq", "bytes"),
                theirs=("max", "bytes"),
                unit="bytes",
            ),
        ],
    )


def minilm(setting: Setting) -> Experiment:
    model, home = Path(setting.minilm()), home_of(setting)
    made = calibrate(home, model, few(setting))
    held = held_sentences(setting, home)
    sets = {"compare's texts": {}, "docstrings": {"data": str(held)}}
    return Experiment(
        sides={
            f"{name} {weights} {optimizer}": rounded(
                model, optimizer, measure, cosine, made if optimizer == "gptq" else None, weights
            )
            for name, measure in sets.items()
            for weights in ("int4", "int2")
            for optimizer in ("max", "gptq")
        },
        once=True,
        rows=[
            Row(
                what=f"MiniLM {weights}, {name}: mean cosine, gptq (other side: max)",
                bar=bar,
                at_least=True,
                ours=(f"{name} {weights} gptq", "error"),
                beside=(f"{name} {weights} max", "error"),
                unit="",
            )
            for weights, bar in (("int4", 0.985), ("int2", 0.6))
            for name in sets
        ],
    )


def tiny_models(setting: Setting) -> Experiment:
    errors: dict[str, Error] = {
        "clip": lambda found: 2 - found["cosine_text"] - found["cosine_image"],
        "t5": kl,
        "gpt": kl,
        "whisper": kl,
        "vit": kl,
    }
    names = ["vit"] if setting.tiny else [*errors]
    home = home_of(setting)
    sides: dict[str, Side] = {}
    for name in names:
        model, measure = trained.model(name), {"samples": 2} if setting.tiny else {}
        made = calibrate(home, model, few(setting), name)
        sides[f"{name} max"] = rounded(model, "max", measure, errors[name])
        sides[f"{name} gptq"] = rounded(model, "gptq", measure, errors[name], made)
    return Experiment(
        sides=sides,
        once=True,
        rows=[
            Row(
                what=f"tiny trained {name}, int4: error of gptq / of max",
                bar=0.6,
                ours=(f"{name} gptq", "error"),
                theirs=(f"{name} max", "error"),
                unit="",
            )
            for name in names
        ],
    )


def calibrating_time(setting: Setting) -> Experiment:
    model, home = language_model(setting), home_of(setting)
    data = jsonl(home / "c.jsonl", calibrating(model, setting))
    options = ["--data", data, "--max-tokens", str(texts.LENGTH)]

    def calibrate_it(output: Path) -> Figures:
        words = [QUANTCLI, "calibrate", model, "-o", output, "--json", "-q", *options]
        return {"seconds": json.loads(timed(words)[1])["seconds"]}

    def forward(_: Path) -> Figures:
        return json.loads(
            timed([sys.executable, PARTS / "run_forward.py", model, data, str(texts.LENGTH)])[1]
        )

    return Experiment(
        sides={"quantcli": calibrate_it, "forward": forward},
        rows=[
            Row(
                what="SmolLM2, 64 x 256 tokens: `calibrate` / its forward passes alone",
                bar=2.5,
                ours=("quantcli", "seconds"),
                theirs=("forward", "seconds"),
            )
        ],
    )


def gptq_time(setting: Setting) -> Experiment:
    model, home = language_model(setting), home_of(setting)
    made = calibration(home, model, jsonl(home / "c.jsonl", calibrating(model, setting)))

    def quantize(output: Path) -> Figures:
        words = [QUANTCLI, "quantize", model, "-w", "int4", *gptq(made), "-o", output]
        seconds, printed = timed([*words, "--json", "-q"])
        return {"seconds": seconds, "peak": json.loads(printed)["peak_rss_bytes"]}

    what = "SmolLM2 int4 by gptq, calibration given: "
    return Experiment(
        sides={"quantcli": quantize},
        rows=[
            Row(what=f"{what}whole process", bar=90.0, ours=("quantcli", "seconds")),
            Row(what=f"{what}peak memory", bar=1.5e9, ours=("quantcli", "peak"), unit="bytes"),
        ],
    )


def calibrating_memory(setting: Setting) -> Experiment:
    model = setting.llama()

    def calibrate_it(output: Path) -> Figures:
        words = [sys.executable, PARTS / "calibrate_model.py", model, output]
        return json.loads(timed(words)[1])

    return Experiment(
        sides={"quantcli": calibrate_it},
        once=True,
        rows=[
            Row(
                what="8 GB: `calibrate --memory 2GB`: peak memory, mapped pages aside",
                bar=3e9,
                ours=("quantcli", "peak"),
                unit="bytes",
            )
        ],
    )


def kl(found: Mapping[str, float]) -> float:
    return found["kl_mean"]


def cosine(found: Mapping[str, float]) -> float:
    return found["cosine_text"]


def every() -> Iterator[tuple[str, Callable[[Setting], Experiment]]]:
    """Yield the experiments of this file, by the names that `--only` takes."""
    yield "fidelity-smollm2", smollm2_int4
    yield "fidelity-minilm", minilm
    yield "fidelity-tiny", tiny_models
    yield "calibrate", calibrating_time
    yield "calibrate-8gb", calibrating_memory
    yield "gptq", gptq_time
