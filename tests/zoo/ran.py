"""Run a model type at a small size: the original, the frozen directory, and Quanto in memory."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

from zoo.model_types import config_class, model_class
from zoo.outcome import Failure, step
from zoo.saved import build
from zoo.shrink import shrink
from zoo.weights import SEED, randomize

import quantcli

MOST = 120_000_000
"""Parameters that a model may have to be run."""

ENOUGH = 0.99
"""The cosine of a quantized model's main output to the original's."""


def run_type(model_type: str) -> dict[str, Any]:
    """Return how near the quantized model is to the original. Raises `Failure`."""
    first: Failure | None = None
    for way in ("all", "depth", "none"):
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
        config = default if way == "none" else shrink(default, widths=way == "all")
        size = sum(p.numel() for p in build(kind, copy.deepcopy(config)).parameters())
        if size > MOST:
            raise Failure("shrink", f"{size / 1e6:,.0f} million parameters")
        torch.manual_seed(SEED)
        model = kind(config).eval()
        randomize(model)
    with step("forward"), torch.no_grad():
        original, used = _outputs(model, kind)
    main = _main(original)
    with tempfile.TemporaryDirectory(prefix="zoo-") as name:
        folder = Path(name)
        with step("save"):
            model.save_pretrained(folder / "original")
            reloaded = kind.from_pretrained(folder / "original").eval()
        with step("reload"), torch.no_grad():
            _check_same(original, _outputs(reloaded, kind, used)[0])
        with step("quantize"):
            frozen = quantcli.quantize(folder / "original", output=folder / "frozen", jobs=1, weights="int8", allow_unquantized=True)
        with step("load"):
            loaded = quantcli.load(folder / "frozen")
        with step("quantized forward"), torch.no_grad():
            ours = _outputs(loaded, kind, used)[0]
        with step("in memory"), torch.no_grad():
            reference = in_memory(reloaded, frozen.plan)
            theirs = _outputs(reference, kind, used)[0]
    value = _cosine(original[main], ours[main])
    return {
        "parameters": size,
        "quantized": len(frozen.plan.quantized),
        "coverage": frozen.plan.coverage,
        "output": main,
        "cosine": value,
        "differs": [name for name in theirs if not _equal(ours[name], theirs[name])],
    }


def in_memory(model: Any, plan: Any) -> Any:
    """Quantize a model in memory; what the plan keeps stays as it is."""
    import freezing

    chosen = {tensor.module for tensor in plan.quantized}
    plain = {name: module for name, module in model.named_modules() if name not in chosen}
    frozen = freezing.freeze_plainly(model, "int8")
    for name, module in freezing.qmodules(frozen):
        if name in plain:
            frozen.set_submodule(name, plain[name])
    return frozen


def _outputs(model: Any, kind: Any, alone: bool | None = None) -> tuple[dict[str, Any], bool]:
    """Run a model on synthetic inputs: all of them, or the main one where it fails."""
    from quantcli.comparison.families.clock import Clock
    from quantcli.comparison.families.family import UnsuitedError
    from quantcli.comparison.families.whole import AllOutputs
    from quantcli.comparison.inputs.feeds import Feed
    from quantcli.comparison.inputs.synthetic import Synthetic

    first: UnsuitedError | None = None
    for only in (False, True) if alone is None else (alone,):
        synthetic = Synthetic(model.config.to_dict(), seed=SEED)
        inputs = synthetic.main_input(kind) if only else synthetic.inputs(kind)
        if not inputs:
            raise Failure("forward", f"no inputs are known for {kind.main_input_name}")
        feed = Feed(name="synthetic", output="outputs", inputs=inputs)
        try:
            return dict(AllOutputs(alone=only).run(model, feed, Clock(on=False), None)), only
        except UnsuitedError as error:
            first = first or error
    assert first is not None
    raise first


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


def _check_same(original: dict[str, Any], reloaded: dict[str, Any]) -> None:
    import torch

    for name, tensor in original.items():
        # not bit for bit: a kernel may sum in another order for another alignment of its memory
        if not torch.allclose(tensor, reloaded[name], rtol=1e-3, atol=1e-4, equal_nan=True):
            raise Failure("reload", f"{name} differs once saved and loaded again")
