"""The valid values of each key of a recipe, and the errors for all others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainValidator,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from quantcli.comparison.tasks import TASKS
from quantcli.errors import QuantcliError, did_you_mean
from quantcli.formats import ACTIVATIONS, DOWNCASTS, QUANTIZED, WEIGHTS, canonical
from quantcli.kernels import ACTIVATIONS as RUNTIME_ACTIVATIONS
from quantcli.kernels import KERNELS
from quantcli.paths import expand, model_name

KEEP = "keep"
"""The value of a rule, `embeddings` or `rest` that leaves weights as they are."""

NONE = "none"
"""The value of `activations` that leaves them as they are."""

OPTIMIZERS = ("max", "hqq", "gptq")
"""How the scales of grouped formats are found, and values rounded."""

_RULED = (*QUANTIZED, KEEP)

_GROUP_STEP = 8
"""Smaller groups would take more bytes of scales than they save."""


_SEEDS = 2**32
"""Every random number generator takes a seed below this."""


def refusal(message: str, hint: str | None = None) -> PydanticCustomError:
    """Return the error for an invalid value."""
    # The message goes in as a value: pydantic expands braces in the template itself.
    return PydanticCustomError("refusal", "{message}", {"message": message, "hint": hint})


@contextmanager
def refusing() -> Iterator[None]:
    """Raise an error of our own as the error for an invalid value."""
    try:
        yield
    except QuantcliError as error:
        raise refusal(error.message, error.hint) from None


def _file(value: Any) -> str:
    """Return a path with `~` expanded. Unlike in a text, bytes that are not UTF-8 are allowed."""
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    if not value:
        raise PydanticKnownError("string_too_short", {"min_length": 1})
    with refusing():
        return expand(value)


def _model(value: str) -> str:
    with refusing():
        return model_name(value)


def _one_of(value: str, known: Iterable[str], what: str) -> str:
    if value in known:
        return value
    raise refusal(f"unknown {what}: {value}", did_you_mean(value, known))


def _weights(value: str) -> str:
    return _one_of(value, WEIGHTS, "weight dtype")


def _ruled_weights(value: str) -> str:
    if value in DOWNCASTS:
        hint = f"one of: {', '.join(_RULED)}"
        raise refusal(f"{value} casts the whole model, so a rule cannot use it", hint)
    return _one_of(value, _RULED, "weight dtype")


def _embeddings(value: str) -> str:
    if value in DOWNCASTS:
        raise refusal(
            f"{value} does not quantize embeddings", f"--rest {value} casts all that is kept"
        )
    return _one_of(value, _RULED, "weight dtype")


def _rest(value: str) -> str:
    return _one_of(value, (KEEP, *DOWNCASTS), "dtype")


def _optimizer(value: str) -> str:
    return _one_of(value, OPTIMIZERS, "optimizer")


def _activations(value: str) -> str:
    return _one_of(value, (NONE, *ACTIVATIONS), "activation dtype")


def _kernels(value: str) -> str:
    return _one_of(value, KERNELS, "kernels")


def _runtime_activations(value: str) -> str:
    return _one_of(value, (NONE, *RUNTIME_ACTIVATIONS), "runtime activations")


def _group_size(value: int) -> int:
    if value > 0 and value % _GROUP_STEP == 0:
        return value
    hint = "Quanto's own choices are 128, 96, 64 and 32"
    raise refusal(f"{value} is not a positive multiple of {_GROUP_STEP}", hint)


def _task(value: str) -> str:
    return _one_of(value, TASKS, "task")


def _count(value: int) -> int:
    if value > 0:
        return value
    raise refusal(f"must be 1 or more, not {value}")


def _seed(value: int) -> int:
    if 0 <= value < _SEEDS:
        return value
    raise refusal(f"must be between 0 and {_SEEDS - 1}, not {value}")


Text = Annotated[str, StringConstraints(min_length=1)]
File = Annotated[str, PlainValidator(_file, json_schema_input_type=str)]
Model = Annotated[Text, AfterValidator(_model)]
Weights = Annotated[str, BeforeValidator(canonical), AfterValidator(_weights)]
RuledWeights = Annotated[str, BeforeValidator(canonical), AfterValidator(_ruled_weights)]
Embeddings = Annotated[str, BeforeValidator(canonical), AfterValidator(_embeddings)]
Rest = Annotated[str, BeforeValidator(canonical), AfterValidator(_rest)]
Optimizer = Annotated[str, AfterValidator(_optimizer)]
Activations = Annotated[str, BeforeValidator(canonical), AfterValidator(_activations)]
Kernels = Annotated[str, AfterValidator(_kernels)]
RuntimeActivations = Annotated[
    str, BeforeValidator(canonical), AfterValidator(_runtime_activations)
]
GroupSize = Annotated[StrictInt, AfterValidator(_group_size)]
Task = Annotated[str, AfterValidator(_task)]
Count = Annotated[StrictInt, AfterValidator(_count)]
Seed = Annotated[StrictInt, AfterValidator(_seed)]
Limit = StrictFloat
Switch = StrictBool
