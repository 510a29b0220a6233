"""The model card of a frozen pipeline."""

from __future__ import annotations

from quantcli.formats import DOWNCASTS
from quantcli.frozen.card import QUANTO
from quantcli.pipelines.plan import PipelinePlan

TEMPLATE = """\
---
library_name: diffusers
base_model: {name}
base_model_relation: quantized
tags:
- quanto
- quantcli
- {weights}
---

# {title}, {weights}

`{name}`{revision} (`{architecture}`), with its weights {done} {weights} by quantcli{quanto}.

| component | class | original bytes | bytes | of the original |
| --- | --- | ---: | ---: | ---: |
{rows}

{quantized} tensors are quantized: {coverage:.1%} of the weights.

## Load it

```python
import quantcli

pipeline = quantcli.load("path/to/this/directory")
```

This needs `pip install 'quantcli[diffusers]'`. `DiffusionPipeline.from_pretrained` stops with an
error about a missing `quant_method`.
"""


def pipeline_card(plan: PipelinePlan) -> str:
    """Return the README.md: front matter, the sizes of the components, how to load it."""
    title = plan.model.rstrip("/").rpartition("/")[2] or plan.model
    downcast = plan.weights in DOWNCASTS
    rows = [
        (each.name, f"`{each.plan.architecture}`", each.plan.original_bytes, each.plan.nbytes)
        for each in plan.components
    ]
    rows.append(("all", "", plan.original_bytes, plan.nbytes))
    return TEMPLATE.format(
        # the path of a local folder means nothing to a reader of the card
        name=plan.model if plan.revision else title,
        title=title,
        revision=f" at revision `{plan.revision}`" if plan.revision else "",
        architecture=plan.architecture,
        weights=plan.weights,
        done="cast to" if downcast else "quantized to",
        quanto="" if downcast else QUANTO,
        rows="\n".join(_row(*row) for row in rows),
        quantized=len(plan.quantized),
        coverage=plan.coverage,
    )


def _row(name: str, architecture: str, before: int, after: int) -> str:
    share = f"{after / before:.1%}" if before else ""
    return f"| {name} | {architecture} | {before:,} | {after:,} | {share} |"
