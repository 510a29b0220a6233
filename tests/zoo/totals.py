"""The totals of the zoo, each with its bar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.planned import PLAIN, WITH_EMBEDDINGS
from zoo.ran import ENOUGH

Results = Mapping[str, Mapping[str, Any]]

BUILT = "built from their default config"
PLANNED = "planned"
LARGER = "larger than before"
RUN = "quantized, loaded and run at a small size"
NEAR = f"their main output has a cosine of at least {ENOUGH}"
NEAR_TOO = "the same with int8 embeddings"
SAME = "all outputs equal those of the model quantized in memory"


def covered(share: float, recipe: str) -> str:
    """Return what the total of types with at least this coverage is called."""
    return f"coverage of at least {share} with {recipe}"


@dataclass(frozen=True, slots=True)
class Total:
    """A number of model types; at least the bar is enough, or at most it where `most`."""

    what: str
    value: int
    bar: int | None = None
    most: bool = False

    @property
    def met(self) -> bool:
        """Return whether the bar is met; True where there is none."""
        return self.bar is None or (self.value <= self.bar if self.most else self.value >= self.bar)


def totals(planned: Results, ran: Results) -> list[Total]:
    """Count model types."""
    whole = [found for found in planned.values() if "failed" not in found]
    small = [found for found in ran.values() if "failed" not in found]
    built = sum(found.get("failed") != "build" for found in planned.values())
    near = [found for found in small if found["cosine"] >= ENOUGH]
    near_too = [found for found in small if found["with_embeddings"] >= ENOUGH]
    return [
        Total("model types with a base model", len(planned)),
        Total(BUILT, built),
        Total(PLANNED, len(whole), built),
        Total(LARGER, sum(_grows(found) for found in whole), 0, most=True),
        *_covered(whole),
        Total(RUN, len(small), 350),
        Total(NEAR, len(near), 350),
        Total(NEAR_TOO, len(near_too), 350),
        Total(SAME, sum(not found["differs"] for found in small), 350),
    ]


def _grows(found: Mapping[str, Any]) -> bool:
    return any(after > found["before"] for after in found["after"].values())


def _covered(whole: list[Mapping[str, Any]]) -> list[Total]:
    found = []
    for recipe, bars in ((PLAIN, (None, None)), (WITH_EMBEDDINGS, (510, 545))):
        values = [one["coverage"][recipe] for one in whole if recipe in one["coverage"]]
        if values:
            found += [
                Total(covered(share, recipe), sum(value >= share for value in values), bar)
                for share, bar in zip((0.99, 0.9), bars, strict=True)
            ]
    return found


HEADER = ("model types", "number", "bar", "verdict")


def table(found: list[Total]) -> str:
    """Return the totals as a Markdown table."""
    lines = [f"| {' | '.join(HEADER)} |", "| --- | ---: | ---: | --- |"]
    for total in found:
        bar = "" if total.bar is None else f"at {'most' if total.most else 'least'} {total.bar}"
        verdict = "" if total.bar is None else "met" if total.met else "missed"
        lines.append(f"| {total.what} | {total.value} | {bar} | {verdict} |")
    return "\n".join(lines)


def read(page: str) -> dict[str, Total]:
    """Return the totals in a page, by what they count."""
    found = {}
    row = r"^\| ([^|]+) \| (\d+) \| (?:at (most|least) (\d+))? \| (?:met|missed)? \|$"
    for what, value, word, bar in re.findall(row, page, re.MULTILINE):
        limit = int(bar) if bar else None
        found[what] = Total(what, int(value), limit, most=word == "most")
    return found
