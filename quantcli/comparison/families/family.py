"""What every family of models has in common: how it is fed, run, observed and summed up."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from quantcli.comparison.families.clock import Clock
from quantcli.comparison.inputs.feeds import Feed
from quantcli.comparison.inputs.kit import Kit
from quantcli.comparison.inputs.synthetic import Synthetic
from quantcli.comparison.results import Generated, Measurement
from quantcli.comparison.samples import Samples
from quantcli.errors import ModelError
from quantcli.text import first_line


class UnsuitedError(ModelError):
    """The model cannot be compared in this way, and may be in another."""


Outputs = Mapping[str, torch.Tensor]
"""What a model gave for one feed, by name; on the CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the families make feeds from. `count` synthetic samples are made where needed.

    Without `generate` no sample is continued.
    """

    kit: Kit
    samples: Samples
    synthetic: Synthetic
    model_class: Any
    max_tokens: int
    generate: bool
    seed: int
    count: int


class Family(Protocol):
    """One way to compare two models. It keeps what it observes until it is summed up."""

    def feeds(self, setting: Setting) -> tuple[list[Feed], bool]:
        """Return what the models are fed, and whether it is synthetic."""

    def run(self, model: Any, feed: Feed, clock: Clock, reference: Outputs | None) -> Outputs:
        """Run a model; `reference` is what the original gave, None where this is the original."""

    def observe(self, feed: Feed, original: Outputs, quantized: Outputs) -> None:
        """Take note of the difference between the outputs for one feed."""

    def metrics(self, seed: int) -> dict[str, Measurement]:
        """Return the metrics of all that was observed."""

    def generated(self, kit: Kit) -> tuple[Generated, ...]:
        """Return what both models wrote."""


def call(model: Any, inputs: Mapping[str, torch.Tensor]) -> Any:
    """Run a model's forward pass on those inputs that it takes.

    Raises `UnsuitedError` where it does not accept them.
    """
    with refusals(model, inputs):
        return model(**fit(model, inputs))


@contextmanager
def settled() -> Iterator[None]:
    """Let no other way be looked for any more: what is not suited now is an error."""
    try:
        yield
    except UnsuitedError as error:
        raise ModelError(error.message, hint=error.hint) from error


@contextmanager
def refusals(model: Any, inputs: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Say of a model that does not accept its inputs what it says itself."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
        if "DefaultCPUAllocator" in str(error):
            raise MemoryError from error  # what torch has no type for
        reason = first_line(error)
        raise UnsuitedError(
            f"{type(model).__name__} cannot be run on {', '.join(inputs)}: {reason}",
            hint="try --task outputs",
        ) from error


def fit(model: Any, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return those inputs that a model's forward names, as it wants them."""
    known = inspect.signature(model.forward).parameters
    return {
        name: value.to(model.device, model.dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
        if name in known
    }


def logits_of(model: Any, output: Any) -> torch.Tensor:
    """Return the logits of an output. Raises `UnsuitedError` where it has none."""
    logits = getattr(output, "logits", None)
    if not isinstance(logits, torch.Tensor):
        raise UnsuitedError(
            f"{type(model).__name__} gives no logits",
            hint="try --task outputs",
        )
    return logits.cpu()
