"""What is kept of each model, and why, in short: reasons are numbered, and listed once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from zoo.planned import PLAIN, WITH_EMBEDDINGS

SHOWN = 3
"""Entries of one model."""

LEAST = 0.001
"""The share of a model from which an entry is shown."""


class Reasons:
    """Every reason for keeping a weight, numbered by the bytes that it keeps."""

    def __init__(self, planned: Iterable[Mapping[str, Any]]) -> None:
        sizes: Counter[str] = Counter()
        for found in planned:
            for entry in entries(found):
                sizes[general(entry)] += entry["bytes"]
        order = sorted(sizes, key=lambda reason: (-sizes[reason], reason))
        self._numbers = {reason: number for number, reason in enumerate(order, 1)}

    def listed(self) -> str:
        """Return the numbered list."""
        return "\n".join(f"{number}. {reason}" for reason, number in self._numbers.items())

    def of(self, found: Mapping[str, Any]) -> str:
        """Return what is kept of a model: the share of its bytes, the weight, the reason."""
        shares: Counter[tuple[str, int]] = Counter()
        for entry in entries(found):
            weight = entry["kind"] + (
                "" if entry["parameter"] == "weight" else f".{entry['parameter']}"
            )
            shares[weight, self._numbers[general(entry)]] += entry["bytes"]
        large = [
            (f"{nbytes / found['before']:.1%} {weight} ({number})")
            for (weight, number), nbytes in sorted(
                shares.items(), key=lambda item: (-item[1], item[0])
            )
            if nbytes >= LEAST * found["before"]
        ]
        return ", ".join(large[:SHOWN]) + (" …" if len(large) > SHOWN else "")


def entries(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the recipe that quantizes most keeps."""
    kept = found["kept"]
    chosen: list[dict[str, Any]] = kept.get(WITH_EMBEDDINGS, kept[PLAIN])
    return chosen


def general(entry: Mapping[str, Any]) -> str:
    """Return a reason without the names and numbers of one module."""
    text = entry["reason"].replace(entry["kind"], "this class")
    text = re.sub(r"tied to .*?(?=;|$)", "tied to another weight", text)
    text = re.sub(r" \([^)]*\)", "", text)
    return re.sub(r"\b[\d,]{2,}\b", "N", text)
