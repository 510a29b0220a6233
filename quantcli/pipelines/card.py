"""The model card of a frozen pipeline."""

from __future__ import annotations

from quantcli.frozen.card import head
from quantcli.pipelines.plan import PipelinePlan

TEMPLATE = """\
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
    rows = [
        (each.name, f"`{each.plan.architecture}`", each.plan.original_bytes, each.plan.nbytes)
        for each in plan.components
    ]
    rows.append(("all", "", plan.original_bytes, plan.nbytes))
    body = TEMPLATE.format(
        rows="\n".join(_row(*row) for row in rows),
        quantized=len(plan.quantized),
        coverage=plan.coverage,
    )
    return head(plan, "diffusers") + body


def _row(name: str, architecture: str, before: int, after: int) -> str:
    share = f"{after / before:.1%}" if before else ""
    return f"| {name} | {architecture} | {before:,} | {after:,} | {share} |"
