"""What a module can become: a weight dtype, with a group size of its own or Quanto's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quantcli.errors import UsageError
from quantcli.formats import GROUPED, QUANTIZED, parse_weights

DEFAULT = "int8,int4,int2"
"""The candidates unless others are asked for."""

_HINT = "write dtypes, with a group size where you want one: int8,int4:64,int4,int2"

_GROUP_STEP = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A weight dtype, and the group size that a recipe sets for it; None for Quanto's own."""

    weights: str
    group_size: int | None = None

    def __str__(self) -> str:
        return self.weights if self.group_size is None else f"{self.weights}:{self.group_size}"

    def rule(self) -> dict[str, Any]:
        """Return the keys of a rule of a recipe that chooses it."""
        found: dict[str, Any] = {"weights": self.weights}
        return found if self.group_size is None else found | {"group_size": self.group_size}

    def key(self, optimizer: str) -> str:
        """Return the name of its result by an optimizer; those of 8 bits do not depend on it."""
        return f"{self} by {optimizer}" if self.is_grouped else str(self)

    @property
    def is_grouped(self) -> bool:
        """Whether it has a scale for each group, which an optimizer finds."""
        return self.weights in GROUPED


KEEP = Candidate("keep")
"""Leave the module as it is: always a candidate."""


def parse_candidates(text: str) -> tuple[Candidate, ...]:
    """Return the candidates in a list such as `int8,int4:64,int2`, without `keep`.

    Raises `UsageError` for dtypes that do not quantize, and for wrong group sizes.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    found = dict.fromkeys(_parse(word) for word in words if word != KEEP.weights)
    if not found:
        raise UsageError(f"--candidates: no dtypes: {text!r}", hint=_HINT)
    return tuple(found)


def _parse(word: str) -> Candidate:
    name, colon, size = word.partition(":")
    try:
        weights = parse_weights(name)
    except UsageError as error:
        raise UsageError(f"--candidates: {error.message}", hint=error.hint) from None
    if weights not in QUANTIZED:
        raise UsageError(
            f"--candidates: {weights} casts the whole model, so a module cannot have it alone",
            hint=f"one of: {', '.join(QUANTIZED)}",
        )
    return Candidate(weights, _group_size(word, weights, size) if colon else None)


def _group_size(word: str, weights: str, size: str) -> int:
    if weights not in GROUPED:
        raise UsageError(f"--candidates: {word}: {weights} has one scale per row", hint=_HINT)
    if not size.isdecimal() or int(size) <= 0 or int(size) % _GROUP_STEP:
        raise UsageError(
            f"--candidates: {word}: {size} is not a positive multiple of {_GROUP_STEP}", hint=_HINT
        )
    return int(size)
