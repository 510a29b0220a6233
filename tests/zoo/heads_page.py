"""The table of models with a head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zoo.heads import FAMILIES, WEIGHTS
from zoo.numbers import cut

SECTION = """## Heads

The classes with a head of twenty families, at a small size with random weights: the cosine of the
main output, and the size as a share of the original's, with the embeddings kept and quantized.
**≠** marks a model of which any bit of any output differs from the same model quantized in memory;
that is compared where the embeddings are kept.
"""


def section(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the section, or "" if no heads were run."""
    rows = [row for family in FAMILIES if family in found for row in _rows(family, found[family])]
    if not rows:
        return ""
    names = [f"{weights}{more}" for weights in WEIGHTS for more in ("", " + emb.")]
    head = f"| family | class | {' | '.join(names)} |"
    line = f"| --- | --- |{' ---: |' * len(names)}"
    return "\n".join([SECTION, head, line, *rows]) + "\n"


def _rows(family: str, found: Mapping[str, Any]) -> Iterator[str]:
    if "failed" in found:
        yield f"| {family} | not run: {found['reason']} |{' |' * 2 * len(WEIGHTS)}"
        return
    for row in found["rows"]:
        if "failed" in row:
            empty = " |" * 2 * len(WEIGHTS)
            yield f"| {family} | {row['class']}: not run, {row['reason']} |{empty}"
        else:
            cells = " | ".join(map(_cell, row["cells"]))
            yield f"| {family} | {row['class']} | {cells} |"


def _cell(cell: Mapping[str, Any]) -> str:
    mark = " ≠" if cell.get("differs") else ""
    return f"{cut(cell['cosine'])}{mark} ({cell['ratio']:.3f})"
