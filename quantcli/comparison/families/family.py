"""What every family of models has in common: how it is fed, run, observed and summed up."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
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
from quantcli.errors import ModelError, is_bug
from quantcli.text import first_line


class UnsuitedError(ModelError):
    """The model cannot be compared in this way, and may be in another."""


class CannotGenerateError(UnsuitedError):
    """The model cannot generate text from its inputs."""


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
    return ask(model, model, inputs)


@contextmanager
def settled() -> Iterator[None]:
    """Let no other way be looked for any more: what is not suited now is an error."""
    try:
        yield
    except UnsuitedError as error:
        raise ModelError(error.message, hint=error.hint) from error


def ask(
    model: Any,
    method: Callable[..., Any],
    inputs: Mapping[str, torch.Tensor],
    refusal: type[UnsuitedError] = UnsuitedError,
    **options: Any,
) -> Any:
    """Call a method of a model on those inputs that the model's forward pass takes.

    Raises `refusal`, with the model's own words, if the model does not accept them.
    """
    known = fit(model, inputs)
    try:
        return method(**known, **options)
    except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
        if is_bug(error):
            raise
        if "DefaultCPUAllocator" in str(error):
            raise MemoryError from error  # torch has no type for it
        raise refusal(
            f"{type(model).__name__} cannot be run on {', '.join(inputs)}: {first_line(error)}",
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
