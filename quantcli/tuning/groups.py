"""Modules that are measured together: those of one kind, in one third of the depth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from quantcli.text import layer_pattern
from quantcli.tuning.globs import split_number

THIRDS = ("first", "middle", "last")

MOST = 48
"""Maximum number of groups, as each is measured; with more, kinds are not split by depth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Modules whose damage counts alike: the pattern of their names, and their third."""

    pattern: str
    third: str
    modules: tuple[str, ...]

    @property
    def name(self) -> str:
        """What messages and the cache call it."""
        return f"{self.pattern} ({self.third} third)" if self.third else self.pattern


def make_groups(modules: Iterable[str]) -> tuple[Group, ...]:
    """Return the groups of modules, by their names."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in modules:
        kinds[layer_pattern(name)].append(name)
    split = len(kinds) * len(THIRDS) <= MOST
    return tuple(
        group
        for pattern, names in kinds.items()
        for group in (_split(pattern, names) if split else _whole(pattern, names))
    )


def _whole(pattern: str, names: list[str]) -> list[Group]:
    return [Group(pattern=pattern, third="", modules=tuple(names))]


def _split(pattern: str, names: list[str]) -> list[Group]:
    """Split a kind by the first number in the names, where there are three or more."""
    numbers = sorted({int(split_number(name)[1] or 0) for name in names})
    if len(numbers) < len(THIRDS):
        return _whole(pattern, names)
    third = {number: index * len(THIRDS) // len(numbers) for index, number in enumerate(numbers)}
    parts: dict[int, list[str]] = defaultdict(list)
    for name in names:
        parts[third[int(split_number(name)[1] or 0)]].append(name)
    return [
        Group(pattern=pattern, third=THIRDS[index], modules=tuple(members))
        for index, members in sorted(parts.items())
    ]
