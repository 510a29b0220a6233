"""The tables of a recipe: the samples that models are run on, and gates."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StrictInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from quantcli.comparison.gates import NAMED, named_gate, option, parse_gate, parse_regression
from quantcli.comparison.samples import SampleOptions
from quantcli.errors import UsageError
from quantcli.recipe.refusals import key_path, usage_error
from quantcli.recipe.values import Count, File, Limit, Seed, Switch, Task, Text, refusing


class Table(BaseModel):
    """A table of a recipe: immutable, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def check(cls, values: Mapping[str, Any], *, origin: str | None) -> Self:
        """Return the table that `values` describe, without those that are None.

        Raises `UsageError` for the first invalid value. The message begins with `origin`, or
        without one names the option of the command line.
        """
        if not isinstance(values, Mapping):
            raise UsageError(f"{origin} must be a dict, not a {type(values).__name__}")
        given = {key: _as_text(value) for key, value in values.items() if value is not None}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            spell = key_path if origin else _as_option
            raise usage_error(error, {"": list(cls.model_fields)}, origin, spell) from None

    @property
    def given(self) -> dict[str, Any]:
        """The keys that were set, and their values."""
        return {key: getattr(self, key) for key in self.model_fields_set}


class Sampling(Table):
    """The samples that a model is run on. None leaves the choice to the command."""

    task: Task | None = None
    text: tuple[Text, ...] = ()
    image: tuple[File, ...] = ()
    audio: tuple[File, ...] = ()
    data: File | None = None
    samples: Count | None = None
    max_tokens: Count | None = None
    seed: Seed | None = None

    def beside(self, folder: Path) -> Self:
        """Return this table with its relative paths taken from `folder`."""
        paths = {
            "image": tuple(str(folder / name) for name in self.image),
            "audio": tuple(str(folder / name) for name in self.audio),
            "data": self.data and str(folder / self.data),
        }
        return self.model_copy(update=paths)

    def options(self) -> SampleOptions:
        """Return the samples that this table asks for."""
        return SampleOptions(
            text=self.text,
            image=self.image,
            audio=self.audio,
            data=self.data,
            limit=self.samples,
            seed=self.seed or 0,
        )

    def override(self, other: Sampling) -> Self:
        """Return this table with what `other` sets on top.

        If `other` has samples of any kind, all samples of this table are dropped.
        """
        none: dict[str, Any] = {"text": (), "image": (), "audio": (), "data": None}
        given = {key: value for key, value in other.given.items() if value or key not in none}
        return self.model_copy(update=(given if given.keys().isdisjoint(none) else none | given))


class Compare(Sampling):
    """What the models are compared on."""

    generate: Switch = True


class CalibrationSamples(Sampling):
    """What a model is calibrated with: the samples that decide its scales.

    With `self_generated` a language model writes them itself.
    """

    self_generated: Switch = False


class CompareOptions(Compare):
    """The same keys as options of the command line, where a seed has no maximum."""

    seed: StrictInt | None = None


def _as_text(value: Any) -> Any:
    """Return paths as text, also those in a list."""
    if isinstance(value, list | tuple):
        return [_as_text(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _as_option(path: Sequence[str | int]) -> str:
    """Return the option for the path of a key: `--gate` for ("gate", 0)."""
    return option(str(path[0]))


def _gate(text: str) -> str:
    with refusing():
        parse_gate(text)
    return text


def _regression(text: str) -> str:
    with refusing():
        parse_regression(text)
    return text


class Gates(Table):
    """What a comparison must meet: gates with a name, and others as text."""

    min_cosine: Limit | None = None
    max_kl: Limit | None = None
    min_top1: Limit | None = None
    max_ppl_ratio: Limit | None = None
    min_generation_match: Limit | None = None
    max_size_ratio: Limit | None = None
    max_latency_ratio: Limit | None = None
    min_coverage: Limit | None = None
    min_exercised: Limit | None = None
    gate: tuple[Annotated[Text, AfterValidator(_gate)], ...] = ()
    strict: Switch = False

    @field_validator(*NAMED)
    @classmethod
    def _can_be_met(cls, limit: float | None, info: ValidationInfo) -> float | None:
        assert info.field_name is not None
        if limit is not None:
            with refusing():
                named_gate(info.field_name, limit, "")
        return limit


class GateOptions(Gates):
    """What `quantcli.compare(gates=)` takes: the keys of `[gates]`, and options of one run."""

    report_only: Switch = False
    baseline: File | None = None
    max_regression: tuple[Annotated[Text, AfterValidator(_regression)], ...] = ()
