"""How a model computes: the choice of the user, of the environment, or of the directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from quantcli.errors import UsageError, did_you_mean

KERNELS = ("auto", "quanto")
"""auto: the fastest for each product, whose result differs from Quanto's by rounding alone.
quanto: Quanto's own arithmetic, bit for bit."""

ACTIVATIONS = ("int8",)
"""What the inputs of int8 weights can be quantized to while a model runs."""

VARIABLES = {"kernels": "QUANTCLI_KERNELS", "activations": "QUANTCLI_RUNTIME_ACTIVATIONS"}
"""The environment variables that win over what a directory says."""

_KEY = "runtime_activations"

_CHOICES = {"kernels": KERNELS, "activations": ("none", *ACTIVATIONS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """With which `kernels` products are computed, and to what `activations` are quantized.

    `activations` is "" if they are not.
    """

    kernels: str = "auto"
    activations: str = ""

    @classmethod
    def decide(
        cls,
        section: Mapping[str, Any],
        *,
        kernels: str | None = None,
        activations: str | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> Self:
        """Return what is asked for; else what the environment says, else a section or a recipe.

        Raises `UsageError` for an unknown name.
        """
        said = {"kernels": section.get("kernels"), "activations": section.get(_KEY)}
        asked = {"kernels": kernels, "activations": activations}
        found = {name: _first(name, asked[name], said[name], environment) for name in said}
        return cls(
            kernels=found["kernels"] or "auto",
            activations=(found["activations"] or "").removeprefix("none"),
        )

    def to_section(self) -> dict[str, str]:
        """Return the keys of a section that say this; none for what is the default."""
        found = {"kernels": self.kernels, _KEY: self.activations}
        return {key: value for key, value in found.items() if value not in ("auto", "")}

    def __str__(self) -> str:
        """Return what reports call it."""
        more = f", {self.activations} activations" if self.activations else ""
        return f"{self.kernels} kernels{more}"


QUANTO = Runtime(kernels="quanto")


def check(name: str, value: str, *, origin: str = "") -> str:
    """Return a value of `kernels` or `activations`. Raises `UsageError` for an unknown one."""
    choices = _CHOICES[name]
    if value in choices:
        return value
    what = {"kernels": "kernels", "activations": "runtime activations"}[name]
    hint = did_you_mean(value, choices)
    raise UsageError(f"unknown {what}: {value}{origin}", hint=hint)


def _first(
    name: str, asked: str | None, said: str | None, environment: Mapping[str, str]
) -> str | None:
    variable = VARIABLES[name]
    if asked is not None:
        return check(name, asked)
    if value := environment.get(variable):
        return check(name, value, origin=f" (from {variable})")
    return check(name, said, origin=" (from the directory)") if said else None
