"""Cut the layers of a config down to one of each kind."""

from __future__ import annotations

import re
from typing import Any

from zoo import rules

Values = dict[str, Any]

_INDICES = re.compile(r"(_indices|_indexes|_layer_ids|_layers?|_blocks|_hook_ids)$")


def shrink_depth(part: Values) -> None:
    """Keep one layer of each kind, and cut every list with an entry for each layer."""
    depths = {value for key, value in part.items() if _is_depth(key, value)}
    for key, value in part.items():
        if not depths and str(key).endswith("feature_layer") and are_counts(value):
            part[key] = _renumbered(value, rules.LAYERS)
    for depth in sorted(depths):
        _cut(part, depth)
    for key, value in part.items():
        if str(key).endswith(rules.STAGE_DEPTHS) and are_counts(value):
            part[key] = [min(entry, rules.LAYERS) for entry in value]


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def are_counts(value: Any) -> bool:
    """Return whether a value is a list of whole numbers."""
    return isinstance(value, list | tuple) and bool(value) and all(map(is_count, value))


def _is_depth(key: Any, value: Any) -> bool:
    name = str(key)
    return is_count(value) and bool(rules.DEPTH.search(name)) and not rules.NOT_DEPTH.search(name)


def _cut(part: Values, depth: int) -> None:
    """Cut the stacks of `depth` layers, and all that has an entry for each or for some layers."""
    listed = {key: value for key, value in part.items() if _is_listed(value, depth)}
    tables = [key for key, value in part.items() if _is_table(value, depth)]
    indices = [
        key
        for key, value in part.items()
        if key not in listed and _INDICES.search(str(key)) and are_counts(value)
    ]
    kinds = [
        repr(
            [value[layer] for value in listed.values()]
            + [str(layer) in map(str, part[key]) for key in tables]
        )
        for layer in range(depth)
    ]
    chosen = _choose(kinds, _needed(part, indices))
    part.update({key: [value[layer] for layer in chosen] for key, value in listed.items()})
    part.update({key: _rows(part[key], chosen) for key in tables})
    part.update({key: _renumbered(part[key], len(chosen)) for key in indices})
    for key, value in part.items():
        if _is_depth(key, value) and value == depth:
            part[key] = min(value, len(chosen))


def _is_listed(value: Any, depth: int) -> bool:
    """Return whether a value is a list with an entry for each layer."""
    return isinstance(value, list | tuple) and len(value) == depth > rules.LAYERS


def _is_table(value: Any, depth: int) -> bool:
    """Return whether a value is a table with entries for some of the layers, by their index."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(str(key).isdecimal() and int(key) < depth for key in value)
        and all(isinstance(entry, dict) for entry in value.values())
    )


def _needed(part: Values, indices: list[str]) -> int:
    """Return how many layers a model needs that takes the outputs of some, or takes turns."""
    turns = [len(part[key]) for key in rules.TURNS if isinstance(part.get(key), list)]
    return max((*(len(part[key]) + 1 for key in indices), *turns, rules.LAYERS))


def _choose(kinds: list[str], needed: int) -> list[int]:
    """Return the first layer of each kind, and then others until there are enough."""
    first: dict[str, int] = {}
    for layer, kind in enumerate(kinds):
        first.setdefault(kind, layer)
    chosen = sorted(first.values())[: rules.MOST_LAYERS]
    others = [layer for layer in range(len(kinds)) if layer not in chosen]
    return sorted(chosen + others[: max(0, needed - len(chosen))])


def _rows(table: Values, chosen: list[int]) -> dict[int, Any]:
    entries = {int(layer): entry for layer, entry in table.items()}
    return {new: entries[old] for new, old in enumerate(chosen) if old in entries}


def _renumbered(indices: list[int], depth: int) -> list[int]:
    """Return as many indices of layers that there are, in the same order."""
    order = sorted(range(len(indices)), key=lambda place: indices[place])
    found = list(indices)
    for rank, place in enumerate(order):
        if indices[place] >= 0:
            found[place] = min(rank, depth - 1)
        else:
            found[place] = max(indices[place], -depth)
    return found
