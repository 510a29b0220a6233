"""The tables of a recipe that decide how a model is compared, not what becomes of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from quantcli.comparison.gates.conditions import NAMED, named_condition, split_condition
from quantcli.errors import UsageError
from quantcli.recipe.refusals import usage_error
from quantcli.recipe.values import Count, File, Limit, Seed, Switch, Task, Text, refusal


class Table(BaseModel):
    """A table of a recipe: it does not change, and takes the keys that it knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def check(cls, values: Mapping[str, Any], *, origin: str) -> dict[str, Any]:
        """Return those of `values` that are not None, checked as in a recipe.

        Raises `UsageError`, which starts with `origin`, for the first one that is wrong.
        """
        if not isinstance(values, Mapping):
            raise UsageError(f"{origin} must be a dict, not a {type(values).__name__}")
        given = {key: _as_text(value) for key, value in values.items() if value is not None}
        try:
            found = cls.model_validate(given)
        except ValidationError as error:
            raise usage_error(error, {"": list(cls.model_fields)}, origin) from None
        return {key: getattr(found, key) for key in given}


class Compare(Table):
    """What a model is compared on. None leaves it to `compare`."""

    task: Task | None = None
    text: tuple[Text, ...] = ()
    image: tuple[File, ...] = ()
    audio: tuple[File, ...] = ()
    data: File | None = None
    samples: Count | None = None
    max_tokens: Count | None = None
    generate: Switch = True
    seed: Seed | None = None

    def beside(self, folder: Path) -> Self:
        """Return this table with its relative paths taken from `folder`."""
        paths = {
            "image": tuple(str(folder / name) for name in self.image),
            "audio": tuple(str(folder / name) for name in self.audio),
            "data": self.data and str(folder / self.data),
        }
        return self.model_copy(update=paths)


def _as_text(value: Any) -> Any:
    """Return paths as text, also those in a list."""
    if isinstance(value, list | tuple):
        return [_as_text(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _spelt_right(condition: str) -> str:
    try:
        split_condition(condition)
    except UsageError as error:
        raise refusal(error.message, error.hint) from None
    return condition


Condition = Annotated[Text, AfterValidator(_spelt_right)]


class Gates(Table):
    """What a comparison must meet: conditions with names, and any others as text."""

    min_cosine: Limit | None = None
    max_kl: Limit | None = None
    min_top1: Limit | None = None
    max_ppl_ratio: Limit | None = None
    min_generation_match: Limit | None = None
    max_size_ratio: Limit | None = None
    max_latency_ratio: Limit | None = None
    min_coverage: Limit | None = None
    min_exercised: Limit | None = None
    gate: tuple[Condition, ...] = ()
    strict: Switch = False

    @field_validator(*NAMED)
    @classmethod
    def _can_be_met(cls, limit: float | None, info: ValidationInfo) -> float | None:
        assert info.field_name is not None
        if limit is not None:
            try:
                named_condition(info.field_name, limit)
            except UsageError as error:
                raise refusal(error.message, error.hint) from None
        return limit


class GateOptions(Gates):
    """What `quantcli.compare(gates=)` takes: the keys of `[gates]`, and options of one run."""

    report_only: Switch = False
    baseline: File | None = None
    max_regression: tuple[Text, ...] = ()
