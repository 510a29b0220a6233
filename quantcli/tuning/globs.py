"""Globs for modules that differ in one number: `layers.[0-3].mlp`, `layers.1[0-9].mlp`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

_FIRST = re.compile(r"(?<=\.)\d+(?=\.|$)|^\d+(?=\.)")


def split_number(name: str) -> tuple[str, str, str]:
    """Return what stands before the first number of a name, the number, and what follows it.

    Without a number the name is the first part, and the others are empty.
    """
    found = _FIRST.search(name)
    if found is None:
        return name, "", ""
    return name[: found.start()], found[0], name[found.end() :]


def literal(text: str) -> str:
    """Return the glob that matches a text and nothing else."""
    return re.sub(r"([*?\[])", r"[\1]", text)


def number_globs(numbers: Iterable[str]) -> list[str]:
    """Return globs that match these numbers and no others: `[0-3]`, `1[0-9]`, `[2-4]5`."""
    tails: dict[str, set[int]] = defaultdict(set)
    for number in numbers:
        tails[number[:-1]].add(int(number[-1]))
    heads: dict[tuple[str, str], set[int]] = defaultdict(set)
    for head, digits in tails.items():
        heads[head[:-1] if head else "-", _digits(digits)].add(int(head[-1]) if head else 0)
    globs = [
        (start, min(last), tail if start == "-" else f"{start}{_digits(last)}{tail}")
        for (start, tail), last in heads.items()
    ]
    order = sorted(globs, key=lambda glob: (glob[0] != "-", len(glob[0]), glob))
    return [glob for _, _, glob in order]


def _digits(digits: set[int]) -> str:
    """Return the glob for some digits: `5`, `[58]`, `[0-35]`."""
    if len(digits) == 1:
        return str(*digits)
    runs: list[list[int]] = []
    for digit in sorted(digits):
        if runs and digit == runs[-1][-1] + 1:
            runs[-1].append(digit)
        else:
            runs.append([digit])
    return f"[{''.join(_run(run) for run in runs)}]"


def _run(run: list[int]) -> str:
    return f"{run[0]}-{run[-1]}" if len(run) > 2 else "".join(map(str, run))
