"""What all families of models have in common: feeding, running, observing, summing up."""

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
from quantcli.errors import ModelError
from quantcli.text import first_line
from quantcli.upstream.foreign import is_bug


class UnsuitedError(ModelError):
    """The model cannot be compared in this way, but perhaps in another."""


class TooShortError(ModelError):
    """No sample has enough tokens."""


class CannotGenerateError(UnsuitedError):
    """The model cannot generate text from its inputs."""


Outputs = Mapping[str, torch.Tensor]
"""The outputs of a model for one feed, by name, on the CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What families make feeds from.

    `count` is the number of random inputs if they are needed, `passages` that of the passages that
    joined texts are cut into. A model generates up to `max_tokens` tokens for a sample.
    """

    seed: int
    max_tokens: int
    generate: bool
    kit: Kit
    samples: Samples
    synthetic: Synthetic
    model_class: Any
    count: int
    passages: int


class Family(Protocol):
    """One way to compare two models. It stores what it observes until `metrics`."""

    def feeds(self, setting: Setting) -> tuple[list[Feed], bool]:
        """Return the inputs for the models, and whether they are random."""

    def run(self, model: Any, feed: Feed, clock: Clock, reference: Outputs | None) -> Outputs:
        """Run a model; `reference` holds the original's outputs, None if this is the original."""

    def observe(self, feed: Feed, original: Outputs, quantized: Outputs) -> None:
        """Store the difference between the outputs for one feed."""

    def metrics(self, seed: int) -> dict[str, Measurement]:
        """Return the metrics of all that was observed; the seed is that of the bootstrap."""

    def generated(self, kit: Kit) -> tuple[Generated, ...]:
        """Return the texts that both models generated."""


def call(model: Any, inputs: Mapping[str, torch.Tensor]) -> Any:
    """Run a model's forward pass on the inputs that it takes.

    Raises `UnsuitedError` if it fails on them.
    """
    return ask(model, model, inputs)


@contextmanager
def settled() -> Iterator[None]:
    """Raise `UnsuitedError` as a plain `ModelError`, so that no other way is tried."""
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
    """Return the inputs that a model's forward takes, in its dtype and on its device."""
    known = inspect.signature(model.forward).parameters
    return {
        name: value.to(model.device, model.dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
        if name in known
    }


def logits_of(model: Any, output: Any) -> torch.Tensor:
    """Return the logits of an output. Raises `UnsuitedError` if it has none."""
    logits = getattr(output, "logits", None)
    if not isinstance(logits, torch.Tensor):
        raise UnsuitedError(
            f"{type(model).__name__} returns no logits",
            hint="try --task outputs",
        )
    return logits.cpu()
