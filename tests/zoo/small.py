"""A small model of a type with random weights, and inputs that it can be run on."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from zoo.inputs import Inputs, Maker
from zoo.model_types import config_class, model_class
from zoo.outcome import Failure, step
from zoo.saved import build
from zoo.shrink import shrink
from zoo.weights import SEED, randomize

Outputs = dict[str, Any]

MOST = 120_000_000
"""Parameters that a model may have to be run."""

WAYS: dict[str, dict[str, bool] | None] = {
    "all": {},
    "sections": {"sections": True},
    "depth": {"widths": False},
    "none": None,
}
"""How a config is shrunk, in the order in which it is tried: the options of `shrink`, if at all."""


@dataclass(frozen=True, slots=True)
class Small:
    """A model, how its config was shrunk, its inputs and what it makes of them."""

    model: Any
    way: str
    inputs: Inputs
    outputs: Outputs

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def make_small(model_type: str, kind: Any = None) -> Small:
    """Make a model in the first way in which it can be run. Raises the failure of the first way.

    `kind` is its class, by default the base model of the type.
    """
    kind = kind or model_class(model_type)
    first: Failure | None = None
    for way in WAYS:
        try:
            model = _make(model_type, kind, way)
            with step("forward"):
                return Small(model, way, *_find_inputs(model))
        except Failure as failure:
            first = first or failure
    assert first is not None
    raise first


def _make(model_type: str, kind: Any, way: str) -> Any:
    import torch

    with step("shrink"):
        default, options = config_class(model_type)(), WAYS[way]
        config = default if options is None else shrink(default, **options)
        size = sum(p.numel() for p in build(kind, copy.deepcopy(config)).parameters())
        if size > MOST:
            raise Failure("shrink", f"{size / 1e6:,.0f} million parameters")
        torch.manual_seed(SEED)
        model = kind(config).eval()
        randomize(model)
    return model


def _find_inputs(model: Any) -> tuple[Inputs, Outputs]:
    """Return inputs that a model can be run on, and its outputs. Raises the first failure."""
    first: Exception | None = None
    for inputs in filter(None, Maker(model, SEED).candidates()):
        try:
            outputs = run(model, inputs)
            main_output(outputs)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a model may raise anything at wrong inputs
            first = first or error
        else:
            return inputs, outputs
    raise first or Failure("forward", f"no inputs are known for {model.main_input_name}")


def run(model: Any, inputs: Inputs) -> Outputs:
    """Run a model as `compare` does; return its floating-point outputs."""
    import torch

    from quantcli.comparison.families.clock import Clock
    from quantcli.comparison.families.whole import AllOutputs
    from quantcli.comparison.inputs.feeds import Feed

    feed = Feed(name="zoo", output="outputs", inputs=inputs)
    with torch.no_grad():
        return dict(AllOutputs().run(model, feed, Clock(on=False), None))


def main_output(outputs: Outputs) -> str:
    """Return the name of the main output, the first that is more than a number.

    Raises `Failure` if it says nothing: if it is constant, or not finite.
    """
    import torch

    for name in ("last_hidden_state", "logits", *outputs):
        if name in outputs and outputs[name].numel() > 1:
            tensor = outputs[name].double()
            if not bool(torch.isfinite(tensor).all()):
                raise Failure("forward", f"{name} is not finite")
            if float(tensor.std()) == 0:
                raise Failure("forward", f"{name} is constant")
            return name
    raise Failure("forward", "every output is a single number")
