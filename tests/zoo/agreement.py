"""What has to agree in a config, and still does once its values are smaller."""

from __future__ import annotations

from typing import Any

from zoo.rules import HEAD_DIM

Values = dict[str, Any]


def agree(part: Values, before: Values) -> None:
    """Restore what held in a part of a config before it was shrunk."""
    _as_before(part, before)
    _latent_attention(part, before)
    _state_space(part, before)
    _stages(part, before)
    _rotary_sections(part, before)


EQUALS = (
    ("num_attention_heads", "num_key_value_heads"),
    ("num_attention_heads", "linear_num_heads"),
    ("linear_num_key_heads", "linear_num_value_heads"),
    ("head_dim", "qk_rope_head_dim"),
    ("hidden_size", "attention_hidden_size"),
    ("encoder_attention_heads", "encoder_key_value_heads"),
)
"""Pairs of keys: where both had one value, they have again. The second is the one to go by, but
for heads.
"""


def _as_before(part: Values, before: Values) -> None:
    for first, second in EQUALS:
        values = (before.get(first), before.get(second))
        if None in values or values[0] != values[1]:
            continue
        if first == "head_dim":
            part[first] = part[second]
        else:
            part[second] = part[first]


def _latent_attention(part: Values, before: Values) -> None:
    """Keep the head of latent attention the sum of its parts."""
    parts = ("qk_nope_head_dim", "qk_rope_head_dim")
    if all(isinstance(part.get(key), int) for key in parts):
        whole = sum(part[key] for key in parts)
        old = sum(before[key] for key in parts)
        for key in ("qk_head_dim", "head_dim"):
            if before.get(key) == old:
                part[key] = whole


STATE_SPACES = (
    ("mamba_expand", "mamba_n_heads", "mamba_d_head"),
    ("expand", "num_heads", "head_dim"),
    ("expand", "mamba_num_heads", "mamba_head_dim"),
    ("mamba_expand", "n_mamba_heads", "mamba_headdim"),
)
"""Keys of the expansion, the heads and the width of a head of a state space model."""


def _state_space(part: Values, before: Values) -> None:
    """Keep heads times their width equal to the expanded width."""
    for expand, heads, width in STATE_SPACES:
        keys = ("hidden_size", expand, heads, width)
        if any(not isinstance(part.get(key), int) for key in keys):
            continue
        if before["hidden_size"] * before[expand] == before[heads] * before[width]:
            part[width] = part["hidden_size"] * part[expand] // part[heads]
    if before.get("mamba_d_ssm"):
        part["mamba_d_ssm"] = part["mamba_n_heads"] * part["mamba_d_head"]
    if before.get("attention_hidden_size") == 2 * before.get("hidden_size", 0) > 0:
        part["attention_hidden_size"] = 2 * part["hidden_size"]
        part["attention_head_dim"] = 2 * part["hidden_size"] // part["num_attention_heads"]


WIDTHS = ("hidden_sizes", "embed_dim_per_stage", "conv_dim", "neck_hidden_sizes")
"""Lists with the width of each stage, of which another key may repeat the first or the last."""


def _stages(part: Values, before: Values) -> None:
    """Give the first of several stages heads of the usual width, and repeat widths as before.

    The windows of such a model must not be larger than the picture of its last stage.
    """
    heads = next((part[key] for key in ("num_heads", "num_attention_heads") if key in part), None)
    if isinstance(heads, list) and isinstance(part.get("embed_dim"), int):
        part["embed_dim"] = HEAD_DIM * heads[0]
        if isinstance(part.get("window_size"), int):
            part["window_size"] = 2
    for widths in WIDTHS:
        old = before.get(widths)
        for key in ("hidden_size", "embed_dim", "embedding_size") if old else ():
            for place in (0, -1):
                if before.get(key) == old[place]:
                    part[key] = part[widths][place]


def _rotary_sections(part: Values, before: Values) -> None:
    """Shrink the sections of a rotary embedding as the head is."""
    rope = part.get("rope_parameters") or part.get("rope_scaling") or {}
    for owner in (part, rope):
        sections = owner.get("mrope_section")
        if sections and "num_attention_heads" in part:
            old, new = _head(before), _head(part)
            owner["mrope_section"] = _sections(sections, max(1, sum(sections) * new // old))


def add_sections(part: Values) -> None:
    """Write down the sections of a multimodal rotary embedding, in the usual proportions."""
    rope = part.get("rope_parameters")
    if isinstance(rope, dict) and "rope_type" in rope and "num_attention_heads" in part:
        rotated = int(_head(part) * rope.get("partial_rotary_factor", 1))
        rope["mrope_section"] = _sections([16, 24, 24], rotated // 2)


def _head(part: Values) -> int:
    head = part.get("head_dim")
    return int(head or part["hidden_size"] // part["num_attention_heads"])


def _sections(old: list[int], total: int) -> list[int]:
    found = [max(1, entry * total // sum(old)) for entry in old]
    found[0] += total - sum(found)
    return found
