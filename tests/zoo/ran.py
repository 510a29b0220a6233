"""Run a model type at a small size: the original, the frozen directory, and Quanto in memory."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import quantcli
from quantcli.errors import ModelError
from zoo.inputs import Maker
from zoo.model_types import config_class, model_class
from zoo.noise import add_noise
from zoo.outcome import Failure, step
from zoo.saved import build
from zoo.shrink import shrink
from zoo.weights import SEED, randomize

MOST = 120_000_000
"""Parameters that a model may have to be run."""

ENOUGH = 0.99
"""The cosine of a quantized model's main output to the original's."""


WAYS: dict[str, dict[str, bool] | None] = {
    "all": {},
    "sections": {"sections": True},
    "depth": {"widths": False},
    "none": None,
}
"""How a config is shrunk, in the order in which it is tried: the options of `shrink`, if at all."""


def run_type(model_type: str) -> dict[str, Any]:
    """Return how near the quantized model is to the original. Raises `Failure`."""
    first: Failure | None = None
    for way in WAYS:
        try:
            return {"shrunk": way, **_run(model_type, way)}
        except Failure as failure:
            if failure.step not in ("shrink", "forward"):
                raise
            first = first or failure
    assert first is not None
    raise first


def _run(model_type: str, way: str) -> dict[str, Any]:
    import torch

    kind = model_class(model_type)
    with step("shrink"):
        default = config_class(model_type)()
        options = WAYS[way]
        config = default if options is None else shrink(default, **options)
        size = sum(p.numel() for p in build(kind, copy.deepcopy(config)).parameters())
        if size > MOST:
            raise Failure("shrink", f"{size / 1e6:,.0f} million parameters")
        torch.manual_seed(SEED)
        model = kind(config).eval()
        randomize(model)
    with step("forward"), torch.no_grad():
        used, original = _find_inputs(model)
    main = _main(original)
    with tempfile.TemporaryDirectory(prefix="zoo-") as name:
        folder = Path(name)
        with step("save"):
            model.save_pretrained(folder / "original")
            reloaded = kind.from_pretrained(folder / "original").eval()
        with step("reload"), torch.no_grad():
            _check_same(original, _outputs(reloaded, used))
        with step("quantize"):
            frozen = quantcli.quantize(
                folder / "original",
                output=folder / "frozen",
                jobs=1,
                weights="int8",
                allow_unquantized=True,
            )
        with step("load"):
            loaded = quantcli.load(folder / "frozen")
        with step("quantized forward"), torch.no_grad():
            ours = _outputs(loaded, used)
        with step("in memory"), torch.no_grad():
            reference = in_memory(reloaded, frozen.plan)
            theirs = _outputs(reference, used)
        differs = _differs(ours, theirs)
        if differs:
            # a kernel may sum in another order where memory is mapped from a file, not aligned
            with step("quantized forward"), torch.no_grad():
                differs = _differs(_outputs(copy.deepcopy(loaded), used), theirs)
        noise = {}
        value = _cosine(original[main], ours[main])
        if value < ENOUGH:
            with step("noise"), torch.no_grad():
                add_noise(model, frozen.plan, SEED)
                noise = {"noise": _cosine(original[main], _outputs(model, used)[main])}
    return {
        "parameters": size,
        "quantized": len(frozen.plan.quantized),
        "coverage": frozen.plan.coverage,
        "output": main,
        "cosine": value,
        "differs": differs,
        **noise,
    }


def in_memory(model: Any, plan: Any) -> Any:
    """Quantize a model in memory; what the plan keeps stays as it is."""
    import freezing

    chosen = {tensor.module for tensor in plan.quantized}
    # Quanto takes the weights out of the modules that it replaces
    kept = {
        name: copy.deepcopy(module)
        for name, module in model.named_modules(remove_duplicate=False)
        if name not in chosen and not any(module.children())
    }
    frozen = freezing.freeze_plainly(model, "int8")
    for name, module in [*frozen.named_modules(remove_duplicate=False)]:
        if name in kept and type(module) is not type(kept[name]):
            frozen.set_submodule(name, kept[name])
    return frozen


def _find_inputs(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return inputs that a model can be run on, and its outputs. Raises the first failure."""
    first: Exception | None = None
    for inputs in Maker(model, SEED).candidates():
        if not inputs:
            continue
        try:
            return inputs, _outputs(model, inputs)
        except ModelError as error:
            first = first or error
    raise first or Failure("forward", f"no inputs are known for {model.main_input_name}")


def _outputs(model: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Run a model as `compare` does."""
    from quantcli.comparison.families.clock import Clock
    from quantcli.comparison.families.whole import AllOutputs
    from quantcli.comparison.inputs.feeds import Feed

    feed = Feed(name="zoo", output="outputs", inputs=inputs)
    return dict(AllOutputs().run(model, feed, Clock(on=False), None))


def _main(outputs: dict[str, Any]) -> str:
    """Return the name of the main output: the first that says something."""
    import torch

    order = ("last_hidden_state", "logits", *outputs)
    for name in order:
        if name in outputs and outputs[name].numel() > 1:
            tensor = outputs[name].double()
            if not bool(torch.isfinite(tensor).all()):
                raise Failure("forward", f"{name} is not finite")
            if float(tensor.std()) == 0:
                raise Failure("forward", f"{name} is constant")
            return str(name)
    raise Failure("forward", "every output is a single number")


def _cosine(first: Any, second: Any) -> float:
    from quantcli.comparison.metrics.vectors import cosine

    return float(cosine(first.double().flatten().numpy(), second.double().flatten().numpy()))


def _equal(first: Any, second: Any) -> bool:
    import torch

    return first.shape == second.shape and torch.equal(first.nan_to_num(), second.nan_to_num())


def _differs(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    return [name for name in theirs if not _equal(ours[name], theirs[name])]


def _check_same(original: dict[str, Any], reloaded: dict[str, Any]) -> None:
    """Raise `Failure` if the model that was saved is not the one that is loaded again.

    Not bit for bit: a kernel may sum in another order for another alignment of its memory.
    """
    for name, tensor in original.items():
        if (
            tensor.numel() > 1
            and not _cosine(tensor.nan_to_num(), reloaded[name].nan_to_num()) > 0.9999
        ):
            raise Failure("reload", f"{name} differs once saved and loaded again")
