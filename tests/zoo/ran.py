"""Run a model type at a small size: the original, the frozen directory, and Quanto in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import quantcli
from zoo.nearness import cosine, cosines, differing, lowest_with_noise
from zoo.outcome import Failure, step
from zoo.reference import align, in_memory
from zoo.small import Outputs, Small, main_output, make_small, run

ENOUGH = 0.99
"""The cosine of a quantized model's main output to the original's."""

RELOADED = 0.9999
"""The cosine of each output of a saved model to those before: only the last bits may differ."""


def run_type(model_type: str) -> dict[str, Any]:
    """Return how near the quantized model is to the original. Raises `Failure`."""
    small = make_small(model_type)
    with tempfile.TemporaryDirectory(prefix="zoo-") as name:
        original = save_and_load(small, Path(name) / "original")
        with step("quantize"):
            frozen = quantcli.quantize(
                Path(name) / "original",
                output=Path(name) / "frozen",
                jobs=1,
                weights="int8",
                allow_unquantized=True,
            )
        with step("load"):
            loaded = quantcli.load(frozen)
        with step("quantized forward"):
            outputs = run(loaded, small.inputs)
        with_embeddings = _with_embeddings(small, Path(name))
        differs = _differs(loaded, outputs, original, small, frozen.plan)
    return {
        "shrunk": small.way,
        "parameters": small.parameters,
        "quantized": len(frozen.plan.quantized),
        "coverage": frozen.plan.coverage,
        "differs": differs,
        "with_embeddings": with_embeddings,
        **_near(small, outputs, frozen.plan),
    }


def _with_embeddings(small: Small, folder: Path) -> float:
    """Return the cosine of the main output of the model with int8 embeddings too."""
    with step("quantize with embeddings"):
        frozen = quantcli.quantize(
            folder / "original",
            output=folder / "with-embeddings",
            jobs=1,
            embeddings="int8",
            allow_unquantized=True,
        )
        loaded = quantcli.load(frozen)
    with step("forward with quantized embeddings"):
        outputs = run(loaded, small.inputs)
    main = main_output(small.outputs)
    return cosine(small.outputs[main], outputs[main])


def save_and_load(small: Small, folder: Path) -> Any:
    """Save a model and load it again. Raises `Failure` if it is not the same."""
    with step("save"):
        small.model.save_pretrained(folder)
        loaded = type(small.model).from_pretrained(folder).eval()
    with step("reload"):
        again = run(loaded, small.inputs)
    for name, tensor in small.outputs.items():
        if tensor.numel() > 1 and cosine(tensor, again[name]) < RELOADED:
            raise Failure("reload", f"{name} differs once saved and loaded again")
    return loaded


def _differs(loaded: Any, outputs: Outputs, original: Any, small: Small, plan: Any) -> list[str]:
    """List the outputs that differ in any bit from those of the model quantized in memory."""
    with step("in memory"):
        reference = in_memory(original, plan)
        differs = differing(outputs, run(reference, small.inputs))
    if differs:
        with step("aligned forward"):
            align(loaded)
            align(reference)
            differs = differing(*(run(side, small.inputs) for side in (loaded, reference)))
    return differs


def _near(small: Small, outputs: Outputs, plan: Any) -> dict[str, Any]:
    """Return the cosines of the main output and of the worst, and if that is far, under noise."""
    found = cosines(small.outputs, outputs)
    main = main_output(small.outputs)
    worst = min(found, key=lambda name: found[name])
    near: dict[str, Any] = {"output": main, "cosine": found[main], "worst": [worst, found[worst]]}
    if found[worst] < ENOUGH:
        with step("noise"):
            near["noise"] = lowest_with_noise(small, plan, worst)
    return near
