"""The keys of a recipe, which combinations are valid, and what they choose for a module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, Self

from pydantic import ValidationError, model_validator

from quantcli.formats import DOWNCASTS, GROUPED, QUANTIZED
from quantcli.recipe.refusals import usage_error
from quantcli.recipe.tables import CalibrationSamples, Compare, Gates, Table
from quantcli.recipe.values import (
    KEEP,
    NONE,
    Activations,
    Embeddings,
    GroupSize,
    Kernels,
    Model,
    Optimizer,
    Rest,
    RuledWeights,
    RuntimeActivations,
    Text,
    Weights,
    refusal,
)

_GROUPED = " and ".join(GROUPED)

_FOR_RUNS = {"calibration", "compare", "gates"}
"""The tables that say what a model is run on, and what it must meet then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What a recipe chooses for one module, and why."""

    weights: str | None
    """A weight dtype, or None if the module is kept."""
    group_size: int | None
    """The group size that the recipe sets; None if Quanto chooses it, or if there is none."""
    reason: str


class Rule(Table):
    """A weight dtype or group size for the modules whose names match a glob."""

    match: Text
    weights: RuledWeights | None = None
    group_size: GroupSize | None = None

    @model_validator(mode="after")
    def _has_effect(self) -> Self:
        if self.weights is None and self.group_size is None:
            raise refusal("has no effect", "give it weights, group_size or both")
        return self


class Recipe(Table):
    """How to quantize a model. `parse` and `override` make a recipe from unchecked values."""

    model: Model | None = None
    weights: Weights = "int8"
    embeddings: Embeddings = KEEP
    rest: Rest = KEEP
    optimizer: Optimizer = "max"
    activations: Activations = NONE
    kernels: Kernels = "auto"
    runtime_activations: RuntimeActivations = NONE
    group_size: GroupSize | None = None
    include: tuple[Text, ...] = ()
    exclude: tuple[Text, ...] = ()
    rules: tuple[Rule, ...] = ()
    calibration: CalibrationSamples = CalibrationSamples()
    compare: Compare = Compare()
    gates: Gates = Gates()

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, origin: str | None = None) -> Recipe:
        """Return the recipe with these values.

        Raises `UsageError` if they are not valid; the message starts with `origin`.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise usage_error(error, _known_keys(), origin) from None

    def override(self, **changes: Any) -> Recipe:
        """Return this recipe with `changes`, validated again; None changes nothing."""
        given = {key: value for key, value in changes.items() if value is not None}
        return Recipe.parse(self.model_dump() | given)

    def to_dict(self) -> dict[str, Any]:
        """Return every key that decides how a model is quantized, as JSON types."""
        decides_nothing = {"compare", "gates"} if self.calibrates else _FOR_RUNS
        return self.model_dump(mode="json", exclude=decides_nothing)

    @property
    def calibrates(self) -> bool:
        """Whether samples decide how the model is quantized."""
        return self.activations != NONE or self.optimizer == "gptq"

    @property
    def downcast(self) -> bool:
        """Whether all weights are cast, and none is quantized."""
        return self.weights in DOWNCASTS

    def choose(self, module: str, *, is_embedding: bool = False) -> Choice:
        """Return the choice for the module of this name.

        `include` and `exclude` come first, as in Quanto; then the first rule that matches. An
        embedding is kept unless `embeddings` says otherwise, whatever the rules say.
        """
        if is_embedding and self.embeddings == KEEP:
            reason = "embeddings are kept (--embeddings quantizes them)"
            return Choice(weights=None, group_size=None, reason=reason)
        usual = self.embeddings if is_embedding else self.weights
        left_out = self.left_out(module)
        if left_out:
            return Choice(weights=None, group_size=None, reason=left_out)
        for rule in self.rules:
            if fnmatch(module, rule.match):
                return self._ruled(rule, usual)
        group_size = self.group_size if usual in GROUPED else None
        return Choice(weights=usual, group_size=group_size, reason="as the recipe says")

    def unmatched(self, modules: Iterable[str]) -> tuple[str, ...]:
        """Return the globs of the recipe that match none of `modules`, each after its key."""
        names = list(modules)
        globs = [
            *(("include", glob) for glob in self.include),
            *(("exclude", glob) for glob in self.exclude),
            *(("rule", rule.match) for rule in self.rules),
        ]
        return tuple(
            f"{key} {glob}" for key, glob in globs if not any(fnmatch(name, glob) for name in names)
        )

    def left_out(self, module: str) -> str | None:
        """Return why `include` or `exclude` leave out the module of this name, or None."""
        if self.include and not any(fnmatch(module, glob) for glob in self.include):
            return "not included"
        return self.excluded(module)

    def excluded(self, module: str) -> str | None:
        """Return which glob excludes the module of this name, as a reason, or None."""
        globs = (glob for glob in self.exclude if fnmatch(module, glob))
        return next((f"excluded by {glob}" for glob in globs), None)

    def _ruled(self, rule: Rule, usual: str) -> Choice:
        weights = rule.weights or usual
        if weights == KEEP:
            reason = f"kept by rule {rule.match}"
            return Choice(weights=None, group_size=None, reason=reason)
        group_size = (rule.group_size or self.group_size) if weights in GROUPED else None
        reason = f"by rule {rule.match}"
        return Choice(weights=weights, group_size=group_size, reason=reason)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.downcast:
            self._check_downcast()
        self._check_grouped()
        self._check_runtime()
        return self

    def _check_downcast(self) -> None:
        for key in ("rules", "include", "exclude", "group_size", "embeddings", "activations"):
            if getattr(self, key) not in ((), None, KEEP, NONE):
                message = f"{key}: does not apply, since {self.weights} casts the whole model"
                raise refusal(message, f"leave it out, or quantize: {', '.join(QUANTIZED)}")
        if self.rest not in (KEEP, self.weights):
            message = f"rest: {self.rest} contradicts weights = {self.weights}"
            raise refusal(message, f"{self.weights} already casts the whole model: leave out rest")

    def _check_grouped(self) -> None:
        asked = {self.weights, self.embeddings, *(rule.weights for rule in self.rules)}
        if asked.isdisjoint(GROUPED):
            if self.optimizer != "max":
                message = f"optimizer: {self.optimizer} is only for {_GROUPED}"
                raise refusal(message, f"use max for {self.weights}")
            if self.group_size:
                hint = f"{self.weights} has one scale per row: leave out group_size"
                raise refusal(f"group_size: only for {_GROUPED}", hint)
        for index, rule in enumerate(self.rules):
            weights = rule.weights or self.weights
            if rule.group_size and weights not in GROUPED:
                message = f"rules[{index}].group_size: only for {_GROUPED}"
                raise refusal(message, f"the weights of this rule are {weights}")

    def _check_runtime(self) -> None:
        asked = {self.weights, *(rule.weights for rule in self.rules)}
        if self.runtime_activations != NONE and "int8" not in asked:
            message = f"runtime_activations: {self.runtime_activations} needs int8 weights"
            raise refusal(message, f"leave it out, or use weights int8 instead of {self.weights}")


def _known_keys() -> dict[str, list[str]]:
    tables: dict[str, type[Table]] = {
        "": Recipe,
        "rules": Rule,
        "calibration": CalibrationSamples,
        "compare": Compare,
        "gates": Gates,
    }
    return {name: list(table.model_fields) for name, table in tables.items()}
