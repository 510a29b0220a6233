"""Tensors by patterns of their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from quantcli.errors import UsageError, closest
from quantcli.text import some

GLOB = frozenset("*?[")


def select(names: Sequence[str], patterns: Iterable[str]) -> list[str]:
    """Return the names that match a pattern, all of them if there is none.

    A pattern is a glob for whole names, or the name of a module, which takes all that is in it.
    Raises `UsageError` for a pattern that matches nothing.
    """
    wanted = [*patterns]
    for pattern in wanted:
        if not any(matches(name, pattern) for name in names):
            raise UsageError(f"no tensor matches {pattern}", hint=_hint(pattern, names))
    return [n for n in names if not wanted or any(matches(n, pattern) for pattern in wanted)]


def matches(name: str, pattern: str) -> bool:
    """Return whether a pattern takes a tensor."""
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")


def find(names: Sequence[str], name: str) -> str:
    """Return the tensor of this name; a module with one tensor stands for that.

    Raises `UsageError` if there is no such tensor, or several.
    """
    found = [name] if name in names else [each for each in names if matches(each, name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{name} matches {len(found)} tensors", hint=f"one of: {some(found)}")
    raise UsageError(f"there is no tensor {name}", hint=_hint(name, names))


def _hint(pattern: str, names: Sequence[str]) -> str:
    if not names:
        return "the model has no tensors"
    modules = {name.rpartition(".")[0] for name in names} - {""}
    near = None if GLOB & {*pattern} else closest(pattern, [*names, *sorted(modules)])
    return f"did you mean {near}?" if near else f"names are like {names[len(names) // 2]}"
