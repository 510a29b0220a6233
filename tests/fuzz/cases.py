"""Cases: each is a damaged copy of a target, decided by a seed and a number."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from fuzz.mutations import mutate
from fuzz.steps import Record, compare_steps, run_steps
from fuzz.targets import COMPARED, TARGETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case that was made: its target, and what was done to a copy of it."""

    number: int
    target: str
    damage: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A case, and what became of it."""

    case: Case
    record: Record = field(default_factory=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What is damaged, and what it is then given to."""

    targets: tuple[str, ...]
    steps: Callable[[Path, Path, Random, Callable[[str], None]], Record]


SUITES = {
    "models": Suite(targets=tuple(TARGETS), steps=run_steps),
    "compare": Suite(targets=COMPARED, steps=compare_steps),
}
"""The kinds of cases, by name."""


def make(
    seed: int, number: int, targets: Path, folder: Path, names: Sequence[str] = tuple(TARGETS)
) -> tuple[Case, Random]:
    """Write the damaged copy of a case to `folder`; the generator goes on to its steps.

    The targets, in folders under `targets`, take turns.
    """
    rng = Random(f"{seed} {number}")
    target = names[number % len(names)]
    shutil.copytree(targets / target, folder, copy_function=shutil.copyfile)
    damage = tuple(mutate(folder, rng))
    return Case(number=number, target=target, damage=damage), rng


def run(
    seed: int,
    number: int,
    root: Path,
    on_case: Callable[[Case], None],
    say: Callable[[str], None],
    *,
    suite: str = "models",
) -> Result:
    """Make a case in `root`/case, and put it through every step there.

    `root`/targets holds the targets.
    """
    place = root / "case"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    with contextlib.chdir(place):
        chosen = SUITES[suite]
        case, rng = make(seed, number, root / "targets", Path("model"), chosen.targets)
        on_case(case)
        record = chosen.steps(Path("model"), root / "targets" / case.target, rng, say)
    return Result(case=case, record=record)


def changes(targets: Path, case: Case, folder: Path) -> list[str]:
    """Tell what was done to a case, with the value that changed where it is one of JSON."""
    told = []
    for line in case.damage:
        name = line.partition(":")[0]
        before, after = targets / case.target / name, folder / name
        if name.endswith(".json") and after.is_file() and not after.is_symlink():
            line = f"{line} ({describe(before.read_bytes(), after.read_bytes())})"  # noqa: PLW2901
        told.append(line)
    return told


def describe(before: bytes, after: bytes) -> str:
    """Return the first value of a JSON file that is another now; nothing where that fails."""
    try:
        return _difference(json.loads(before), json.loads(after), "")[:200]
    except (ValueError, RecursionError):
        return "no JSON any more"


def _difference(one: Any, other: Any, path: str) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            if key not in one or key not in other:
                return f"{path}.{key}: " + ("is gone" if key in one else f"{other[key]!r} is new")
            if found := _difference(one[key], other[key], f"{path}.{key}"):
                return found
        return ""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return next((d for n, (a, b) in pairs if (d := _difference(a, b, f"{path}.{n}"))), "")
    return "" if repr(one) == repr(other) else f"{path}: {one!r:.80} became {other!r:.80}"
