"""Make a small config of a default one, by the rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from zoo import rules
from zoo.agreement import add_sections, agree
from zoo.depth import are_counts, is_count, shrink_depth

Values = dict[str, Any]

LEFT_OUT = (
    *("transformers_version", "quantization_config"),
    *("out_features", "out_indices", "stage_names"),
)
"""Keys that the config computes again, or that are not about the model's shape."""

_TOKEN = re.compile(r"(_token_ids?|_token_index)$")


def shrink(config: Any, *, widths: bool = True, sections: bool = False) -> Any:
    """Return a small config; without `widths` it has fewer layers, tokens and experts only.

    `sections` writes down those of the rotary embeddings, which some models have in their code.
    """
    values = _with_shape_alone(config.to_dict())
    for part in list(_parts(values)):
        before = dict(part)
        shrink_depth(part)
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


def _shrink_sizes(part: Values, *, widths: bool) -> None:
    for key, value in list(part.items()):
        limit = _limit(str(key), widths=widths)
        if limit is None:
            continue
        if is_count(value):
            part[key] = min(value, limit)
        elif are_counts(value):
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
    if is_count(patch) and patch >= 8:
        side = rules.PATCHES * patch
    for key, value in part.items():
        if rules.IMAGE.search(str(key)):
            if is_count(value):
                part[key] = min(value, side)
            elif are_counts(value):
                part[key] = [min(entry, side) for entry in value]


def _move_tokens(values: Values) -> None:
    """Give every special token that may be beyond the vocabulary an id of its own at its end."""
    beyond = sorted({token for token in _tokens(values) if token >= rules.VOCABULARY // 2})
    moved = {token: rules.VOCABULARY - 1 - index for index, token in enumerate(beyond)}
    for part in _parts(values):
        for key, value in part.items():
            if _TOKEN.search(str(key)) and is_count(value):
                part[key] = moved.get(value, value)
            elif _TOKEN.search(str(key)) and are_counts(value):
                part[key] = [moved.get(token, token) for token in value]


def _tokens(values: Values) -> Iterator[int]:
    for part in _parts(values):
        for key, value in part.items():
            if _TOKEN.search(str(key)):
                yield from filter(is_count, value if isinstance(value, list | tuple) else [value])
