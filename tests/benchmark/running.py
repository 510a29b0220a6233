"""How fast frozen models run: products, whole models, and how far the results are from Quanto's."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmark.calibrated import home_of, language_model
from benchmark.experiments import PARTS, QUANTCLI, Setting
from benchmark.models import model
from benchmark.runner import Experiment, Figures, Row, Side, timed

FASTER = {"int8": (0.35, 1.2, 1.3), "int4": (0.35, 1.2, 1.3)}
"""The bars of a product of 1, 8 and 512 rows, by weight dtype."""


def single_products(setting: Setting) -> Experiment:
    size = 256 if setting.tiny else 4096

    def side(_: Path) -> Figures:
        return json.loads(timed([sys.executable, PARTS / "run_products.py", str(size)])[1])

    return Experiment(
        sides={"products": side},
        rows=[
            Row(
                what=f"Linear {size} x {size} bfloat16, {name}, rows of inputs: {rows} / dense",
                bar=bar,
                ours=("products", f"{name} {rows}"),
                theirs=("products", f"dense {rows}"),
            )
            for name, bars in FASTER.items()
            for rows, bar in zip((1, 8, 512), bars, strict=True)
        ],
    )


def smollm2(setting: Setting) -> Experiment:
    source = language_model(setting)
    bars = {"int8": (1.15, 0.70), "int4": (1.15, 0.55)}
    experiment = _language_model(setting, source, "SmolLM2 bfloat16", bars)
    smaller = _quantized(source, home_of(setting) / "head", "int4", "--embeddings", "int8")
    more = [
        Row(
            what="SmolLM2 bfloat16, int4, embeddings and head int8: decode / original",
            bar=0.45,
            ours=("int4, head int8", "auto 1"),
            theirs=("int4, head int8", "original 1"),
        ),
        Row(
            what="SmolLM2 int4: memory of running it, imports aside / of the original",
            bar=0.6,
            ours=("int4", "auto peak"),
            theirs=("int4", "original peak"),
            unit="bytes",
        ),
    ]
    sides = {**experiment.sides, "int4, head int8": _benched(setting, smaller, source)}
    return Experiment(sides=sides, rows=[*experiment.rows, *more])


def llama(setting: Setting) -> Experiment:
    source = model("llama-tiny" if setting.tiny else "llama-1b", setting.cache)
    bars = {"int8": (1.15, 0.70), "int4": (1.15, 0.50)}
    return _language_model(setting, source, "Llama of 1B's shape, 4 layers", bars)


def minilm(setting: Setting) -> Experiment:
    source, folder = setting.minilm(), home_of(setting) / "int8"
    sizes = (1,) if setting.tiny else (1, 24)
    made = _quantized(source, folder, "int8")
    bars = {"auto": (1.1, 1.1), "auto, int8 activations": (0.65, 0.33)}
    options = [word for size in sizes for word in ("--batch", str(size))]
    return Experiment(
        sides={
            "bench": _benched(setting, made, source, options),
            "errors": _errors(made),
            "compared": _compared(source, made),
        },
        rows=[
            *(
                Row(
                    what=f"MiniLM float32 int8, {name}, batch {size} / original",
                    bar=bar,
                    ours=("bench", f"{name} {index}"),
                    theirs=("bench", f"original {index}"),
                )
                for name, both in bars.items()
                for index, (size, bar) in enumerate(zip(sizes, both, strict=False))
            ),
            Row(
                what="MiniLM float32 int8: relative difference of auto from quanto",
                bar=1e-5,
                ours=("errors", "difference"),
                unit="",
            ),
            Row(
                what="MiniLM float32 int8, int8 activations: mean cosine of the embeddings",
                bar=0.997,
                ours=("compared", "cosine_text"),
                unit="",
                at_least=True,
            ),
        ],
    )


def vit(setting: Setting) -> Experiment:
    source = model("vit-tiny" if setting.tiny else "vit-b", setting.cache)
    made = _quantized(source, home_of(setting) / "int8", "int8")
    name = "auto, int8 activations"
    return Experiment(
        sides={"bench": _benched(setting, made, source, ["--batch", "8"])},
        rows=[
            Row(
                what="ViT-B's shape float32 int8, int8 activations, batch 8 / original",
                bar=0.5,
                ours=("bench", f"{name} 0"),
                theirs=("bench", "original 0"),
            )
        ],
    )


def _language_model(
    setting: Setting, source: Path, what: str, bars: dict[str, tuple[float, float]]
) -> Experiment:
    home = home_of(setting)
    folders = {name: _quantized(source, home / name, name) for name in bars}
    return Experiment(
        sides={
            **{name: _benched(setting, folder, source) for name, folder in folders.items()},
            **{f"{name} errors": _errors(folder, "float32") for name, folder in folders.items()},
        },
        rows=[
            *(
                Row(
                    what=f"{what}, {name}: {doing} / original",
                    bar=bar,
                    ours=(name, f"auto {index}"),
                    theirs=(name, f"original {index}"),
                )
                for name, both in bars.items()
                for index, (doing, bar) in enumerate(zip(("prefill", "decode"), both, strict=True))
            ),
            *(
                Row(
                    what=f"{what}, {name}: {which} / error of quanto against float32",
                    bar=1.0,
                    ours=(f"{name} errors", figure),
                    theirs=(f"{name} errors", "quanto"),
                    unit="",
                )
                for name in bars
                for which, figure in (
                    ("difference of auto from quanto", "difference"),
                    ("error of auto", "auto"),
                )
            ),
        ],
    )


def _quantized(source: Path, folder: Path, weights: str, *more: str) -> Path:
    timed([QUANTCLI, "quantize", source, "-w", weights, "-o", folder, "-q", *more])
    return folder


def _benched(setting: Setting, folder: Path, source: Path, options: Sequence[str] = ()) -> Side:
    """Run `quantcli bench`: the seconds of each workload, by side and place, and the peaks."""
    rounds = "1" if setting.tiny else "3"

    def side(_: Path) -> Figures:
        words = [QUANTCLI, "bench", folder, "--against", source, "--rounds", rounds, "--json"]
        found = json.loads(timed([*words, *options])[1])
        return dict(_figures(found))

    return side


def _figures(found: Any) -> Iterator[tuple[str, float]]:
    for side in found["sides"]:
        for index, workload in enumerate(side["workloads"]):
            yield f"{side['name']} {index}", workload["seconds"]
        yield f"{side['name']} peak", side["peak_rss_bytes"]


def _compared(source: Path, folder: Path) -> Side:
    def side(_: Path) -> Figures:
        words = [QUANTCLI, "compare", source, folder, "--activations", "int8", "--json"]
        return json.loads(timed(words)[1])["metrics"]

    return side


def _errors(folder: Path, *more: str) -> Side:
    def side(_: Path) -> Figures:
        return json.loads(timed([sys.executable, PARTS / "run_errors.py", folder, *more])[1])

    return side


def every() -> Iterator[tuple[str, Callable[[Setting], Experiment]]]:
    """Yield the experiments of this file, by the names that `--only` takes."""
    yield "products", single_products
    yield "run-smollm2", smollm2
    yield "run-llama", llama
    yield "run-minilm", minilm
    yield "run-vit", vit
