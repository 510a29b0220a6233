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
            with step("aligned forward"), torch.no_grad():
                aligned = (_outputs(_in_own_memory(side), used) for side in (loaded, reference))
                differs = _differs(*aligned)
        cosines = _cosines(original, ours)
        worst = min(cosines, key=lambda output: cosines[output])
        noise = {}
        if cosines[worst] < ENOUGH:
            with step("noise"), torch.no_grad():
                noise = {"noise": _with_noise(model, frozen.plan, used, original, worst)}
    return {
        "parameters": size,
        "quantized": len(frozen.plan.quantized),
        "coverage": frozen.plan.coverage,
        "output": main,
        "cosine": cosines[main],
        "worst": [worst, cosines[worst]],
        "differs": differs,
        **noise,
    }


def in_memory(model: Any, plan: Any) -> Any:
    """Quantize in memory what a plan quantizes: the reference that frozen directories equal.

    The reference takes plain modules and leaves subclasses alone; a plan may decide otherwise. So
    what it quantizes becomes plain here, which is how it is loaded, and what it keeps a subclass.
    """
    import freezing
    from torch import nn

    chosen = {tensor.module for tensor in plan.quantized}
    for name, module in [*model.named_modules()]:
        for plain in (nn.Linear, nn.Conv2d):
            if isinstance(module, plain):
                kept = type(f"Kept{plain.__name__}", (type(module),), {})
                module.__class__ = plain if name in chosen else kept
    return freezing.freeze_plainly(model, "int8")


def _in_own_memory(model: Any) -> Any:
    """Return a copy of a model whose plain tensors are aligned.

    They are mapped from files else, at any offset, and a kernel may sum in another order for that.
    """
    own = copy.deepcopy(model)
    for tensor in (*own.parameters(), *own.buffers()):
        if not hasattr(tensor, "_data"):
            tensor.data = tensor.data.clone()
    return own


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
    """Return the cosine of two outputs, 0 where they do not have the same shape."""
    from quantcli.comparison.metrics.vectors import cosine

    if first.shape != second.shape:
        return 0.0
    one, other = (side.double().nan_to_num().flatten().numpy() for side in (first, second))
    return float(cosine(one, other)) if one.any() else float(not other.any())


def _cosines(original: dict[str, Any], ours: dict[str, Any]) -> dict[str, float]:
    """Return the cosine of each output that is more than a number."""
    return {
        name: _cosine(tensor, ours[name]) for name, tensor in original.items() if tensor.numel() > 1
    }


NOISES = 5
"""Draws of noise, of which the worst counts: a choice of the model does not flip in each."""


def _with_noise(
    model: Any, plan: Any, inputs: dict[str, Any], original: dict[str, Any], output: str
) -> float:
    """Return the lowest cosine of an output to itself under noise on the quantized weights."""
    values = []
    for seed in range(NOISES):
        noisy = copy.deepcopy(model)
        add_noise(noisy, plan, seed)
        values.append(_cosine(original[output], _outputs(noisy, inputs)[output]))
    return min(values)


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
