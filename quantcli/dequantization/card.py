"""The model card of a dequantized checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quantcli.formats import DOWNCASTS
from quantcli.frozen.card import identity

TEMPLATE = """\
---
library_name: {library}
base_model: {name}
tags:
- dequantized
- quantcli
---

# {title}, dequantized

`{name}`{revision} (`{architecture}`), whose weights quantcli had {done} {weights}, as an ordinary
checkpoint in {dtype} again. It loads without quantcli{quanto}.

Its weights are those that the {weights} model computes with, so it is not the original: what was
rounded stays rounded.

| | dtype | bytes |
| --- | --- | ---: |
| frozen | {weights} | {frozen:,} |
| this model | {dtype} | {nbytes:,} |
"""


def dequantized_card(
    manifest: Mapping[str, Any], *, dtype: str, nbytes: int, library: str = "transformers"
) -> str:
    """Return the README.md, from the manifest of the frozen directory."""
    source = manifest["source"]
    title, name, at = identity(str(source.get("model", "")), source["revision"])
    downcast = manifest["weights"] in DOWNCASTS
    return TEMPLATE.format(
        library=library,
        name=name,
        title=title,
        revision=at,
        architecture=manifest["architecture"],
        done="cast to" if downcast else "quantized to",
        weights=manifest["weights"],
        quanto="" if downcast else " and Quanto",
        dtype=dtype,
        frozen=manifest["footprint"]["quantized"]["bytes"],
        nbytes=nbytes,
    )
