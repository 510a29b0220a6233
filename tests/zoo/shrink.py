"""Make a small config of a default one, by the rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from zoo import rules
from zoo.agreement import add_sections, agree

Values = dict[str, Any]

LEFT_OUT = (
    *("transformers_version", "quantization_config"),
    *("out_features", "out_indices", "stage_names"),
)
"""Keys that the config computes again, or that are not about the model's shape."""

_TOKEN = re.compile(r"(_token_ids?|_token_index)$")
_INDICES = re.compile(r"(_indices|_indexes|_layer_ids|_layers?|_blocks|_hook_ids)$")


def shrink(config: Any, *, widths: bool = True, sections: bool = False) -> Any:
    """Return a small config; without `widths` it has fewer layers, tokens and experts only.

    `sections` writes down those of the rotary embeddings, which some models have in their code.
    """
    values = _with_shape_alone(config.to_dict())
    for part in list(_parts(values)):
        before = dict(part)
        _shrink_depth(part)
        _shrink_sizes(part, widths=widths)
        if widths:
            agree(part, before)
            if sections:
                add_sections(part)
            _shrink_images(part)
    _move_tokens(values)
    small = type(config).from_dict(values)
    if hasattr(small, "quantization_config"):
        del small.quantization_config
    return small


def _with_shape_alone(values: Values) -> Values:
    return {
        key: _with_shape_alone(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if key not in LEFT_OUT
    }


def _parts(values: Values) -> Iterator[Values]:
    """Yield a config and its parts."""
    yield values
    for key, value in values.items():
        if isinstance(value, dict) and key not in ("id2label", "label2id"):
            yield from _parts(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_depth(key: str, value: Any) -> bool:
    return (
        _is_count(value)
        and bool(rules.DEPTH.search(str(key)))
        and not rules.NOT_DEPTH.search(str(key))
    )


def _shrink_depth(part: Values) -> None:
    """Keep one layer of each kind, and cut every list with an entry for each layer."""
    depths = {value for key, value in part.items() if _is_depth(key, value)}
    for key, value in part.items():
        if not depths and str(key).endswith("feature_layer") and _are_counts(value):
            part[key] = _renumbered(value, rules.LAYERS)
    for depth in sorted(depths):
        _cut(part, depth)
    for key, value in part.items():
        if str(key).endswith(rules.STAGE_DEPTHS) and _are_counts(value):
            part[key] = [min(entry, rules.LAYERS) for entry in value]


def _cut(part: Values, depth: int) -> None:
    listed = {
        key: value
        for key, value in part.items()
        if isinstance(value, list | tuple) and len(value) == depth > rules.LAYERS
    }
    by_layer = [key for key, value in part.items() if _is_by_layer(value, depth)]
    kinds = [
        (
            *(value[index] for value in listed.values()),
            *(str(index) in map(str, part[key]) for key in by_layer),
        )
        for index in range(depth)
    ]
    chosen = _one_of_each(kinds, depth)
    # a model that takes some of its layers' outputs needs as many layers
    indices = [
        key
        for key, value in part.items()
        if key not in listed and _INDICES.search(str(key)) and _are_counts(value)
    ]
    # so does one whose kinds of layers take turns
    turns = [len(part[key]) for key in rules.TURNS if isinstance(part.get(key), list)]
    needed = max((*(len(part[key]) + 1 for key in indices), *turns), default=0)
    while len(chosen) < min(needed, depth):
        chosen.append(next(index for index in range(depth) if index not in chosen))
    chosen.sort()
    for key, value in listed.items():
        part[key] = [value[index] for index in chosen]
    for key in by_layer:
        entries = {int(index): entry for index, entry in part[key].items()}
        part[key] = {new: entries[old] for new, old in enumerate(chosen) if old in entries}
    for key in indices:
        part[key] = _renumbered(part[key], len(chosen))
    for key, value in part.items():
        if _is_depth(key, value) and value == depth:
            part[key] = min(value, len(chosen))


def _is_by_layer(value: Any, depth: int) -> bool:
    """Return whether a value is a table with entries for some of the layers, by their index."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(str(key).isdecimal() and int(key) < depth for key in value)
        and all(isinstance(entry, dict) for entry in value.values())
    )


def _one_of_each(kinds: list[tuple[Any, ...]], depth: int) -> list[int]:
    """Return the first layer of each kind: two at least."""
    first: dict[str, int] = {}
    for index, kind in enumerate(kinds):
        first.setdefault(repr(kind), index)
    chosen = sorted(first.values())[: rules.MOST_LAYERS]
    for index in range(depth):
        if len(chosen) >= min(rules.LAYERS, depth):
            break
        if index not in chosen:
            chosen.append(index)
    return sorted(chosen)


def _are_counts(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_count, value))


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


def _shrink_sizes(part: Values, *, widths: bool) -> None:
    for key, value in list(part.items()):
        limit = _limit(str(key), widths=widths)
        if limit is None:
            continue
        if _is_count(value):
            part[key] = min(value, limit)
        elif _are_counts(value):
            part[key] = _scaled(value, limit)


NARROW = re.compile(r"layer|experts|group|top|vocab|position|queries|latents|window|tokens|^moe_k$")
"""Limits that leave the widths as they are."""


def _limit(key: str, *, widths: bool) -> int | None:
    for pattern, limit in rules.LIMITS:
        if re.search(pattern, key):
            return limit if widths or NARROW.search(key) else None
    return None


def _scaled(values: list[int], limit: int) -> list[int]:
    """Return a list with the largest value at the limit, and the others in proportion."""
    largest = max(values)
    if largest <= limit:
        return list(values)
    return [max(1, value * limit // largest) for value in values]


def _shrink_images(part: Values) -> None:
    patch = part.get("patch_size")
    patch = patch[0] if isinstance(patch, list | tuple) and patch else patch
    side = 64
    if _is_count(patch) and patch >= 8:
        side = rules.PATCHES * patch
    for key, value in part.items():
        if rules.IMAGE.search(str(key)):
            if _is_count(value):
                part[key] = min(value, side)
            elif _are_counts(value):
                part[key] = [min(entry, side) for entry in value]


def _move_tokens(values: Values) -> None:
    """Give every special token that is beyond the vocabulary an id of its own at its end."""
    size = 256
    beyond = sorted({token for token in _tokens(values) if token >= 128})
    moved = {token: size - 1 - index for index, token in enumerate(beyond)}
    for part in _parts(values):
        for key, value in part.items():
            if _TOKEN.search(str(key)) and _is_count(value):
                part[key] = moved.get(value, value)
            elif _TOKEN.search(str(key)) and _are_counts(value):
                part[key] = [moved.get(token, token) for token in value]


def _tokens(values: Values) -> Iterator[int]:
    for part in _parts(values):
        for key, value in part.items():
            if _TOKEN.search(str(key)):
                yield from (
                    token
                    for token in (value if isinstance(value, list | tuple) else [value])
                    if _is_count(token)
                )
