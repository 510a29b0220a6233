"""What tuning found, as plain data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quantcli.comparison.reports import Report
from quantcli.text import layer_pattern
from quantcli.tuning.menu import Assignment, Menu


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierPoint:
    """One size and what it costs: metrics by name, predicted, or `measured` by `compare`.

    `chosen` marks the one that the recipe makes.
    """

    nbytes: int
    ratio: float
    metrics: Mapping[str, float]
    measured: bool = False
    chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What modules of one kind became: how many of them have which dtype, and their bytes."""

    pattern: str
    dtypes: Mapping[str, int]
    nbytes: int
    original_bytes: int
    bits: float
    """Stored bits for each weight, scales included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A recipe that `tune` wrote, and how good it is.

    `report` compares the model that the recipe makes, of `nbytes`, with the original. `trials` is
    how many models were written and compared to find it.
    """

    model: str
    revision: str | None
    recipe: Path
    report: Report
    nbytes: int
    ratio: float
    frontier: tuple[FrontierPoint, ...]
    shares: tuple[Share, ...]
    trials: int

    @property
    def met(self) -> bool:
        """Whether the gates hold, or the size is kept."""
        return self.report.passed

    def __fspath__(self) -> str:
        return str(self.recipe)


def shares_of(menu: Menu, chosen: Assignment) -> tuple[Share, ...]:
    """Return what became of each kind of modules, the largest first."""
    dtypes: dict[str, Counter[str]] = defaultdict(Counter)
    nbytes, before, weights = Counter[str](), Counter[str](), Counter[str]()
    for module in menu.modules:
        pattern = layer_pattern(module.name)
        candidate = chosen[module.name]
        dtypes[pattern][str(candidate)] += 1
        nbytes[pattern] += module.option(candidate).nbytes
        before[pattern] += module.options[0].nbytes
        weights[pattern] += module.numel
    return tuple(
        Share(
            pattern=pattern,
            dtypes=dict(dtypes[pattern].most_common()),
            nbytes=nbytes[pattern],
            original_bytes=count,
            bits=8 * nbytes[pattern] / max(weights[pattern], 1),
        )
        for pattern, count in before.most_common()
    )
