"""The model card of a frozen directory."""

from __future__ import annotations

from quantcli.formats import DOWNCASTS
from quantcli.frozen.calibrated import CalibratedActivations
from quantcli.planning import Plan
from quantcli.text import plural

HEAD = """\
---
library_name: {library}
base_model: {name}
base_model_relation: quantized
tags:
- quanto
- quantcli
- {weights}
---

# {title}, {weights}

`{name}`{revision} (`{architecture}`), with its weights {done} {weights} by quantcli{quanto}.

"""

TEMPLATE = """\
| | dtype | bytes | of the original |
| --- | --- | ---: | ---: |
| original | {original} | {original_bytes:,} | 100.0% |
| this model | {weights} | {nbytes:,} | {ratio:.1%} |

{quantized} tensors are quantized: {coverage:.1%} of the weights.
{calibrated}{kept}{activations}
## Load it

```python
import quantcli

model = quantcli.load("path/to/this/directory")
```

or, with transformers: `{architecture}.from_pretrained("path/to/this/directory")`.

Both need quantcli to be installed. If it is not, transformers stops with an error about a missing
`quant_method`.
"""

QUANTO = ", with [Quanto](https://github.com/huggingface/optimum-quanto)"


ACTIVATIONS = """
Activations are quantized too, to {qtype}: the scales of {modules} modules are those of Quanto's
`Calibration` (momentum {momentum}) on {samples} samples, sha256 `{sample_hash}`.
"""


def model_card(plan: Plan, activations: CalibratedActivations | None = None) -> str:
    """Return the README.md: front matter, sizes, what is not quantized, how to load it."""
    body = TEMPLATE.format(
        architecture=plan.architecture,
        weights=plan.weights,
        original=", ".join(plan.original_dtypes),
        original_bytes=plan.original_bytes,
        nbytes=plan.nbytes,
        ratio=plan.ratio,
        quantized=len(plan.quantized),
        coverage=plan.coverage,
        calibrated=_calibrated(plan),
        kept=_kept(plan),
        activations=_activations(activations),
    )
    return head(plan, "transformers") + body


def head(plan: Plan, library: str) -> str:
    """Return the front matter, the title, and what was done with which weights."""
    title, name, at = identity(plan.model, plan.revision)
    downcast = plan.weights in DOWNCASTS
    return HEAD.format(
        library=library,
        name=name,
        title=title,
        revision=at,
        architecture=plan.architecture,
        weights=plan.weights,
        done="cast to" if downcast else "quantized to",
        quanto="" if downcast else QUANTO,
    )


def identity(model: str, revision: str | None) -> tuple[str, str, str]:
    """Return a model's title, what a card calls it, and the words on its revision."""
    title = model.rstrip("/").rpartition("/")[2] or model
    if revision:
        return title, model, f" at revision `{revision}`"
    return title, title, ""  # the path of a local folder means nothing to a reader of the card


def _calibrated(plan: Plan) -> str:
    """Return with which calibration the weights were rounded, "" without one."""
    if plan.calibration is None:
        return ""
    sets = plan.calibration["samples"]
    count = plural(sum(each["count"] for each in sets), "sample")
    origin = " and ".join(dict.fromkeys(each["source"] for each in sets))
    return (
        f"Their values were rounded by GPTQ, with the second moments from {count} ({origin}); "
        f"sha256 of the calibration: `{plan.calibration['sha256']}`.\n"
    )


def _activations(calibrated: CalibratedActivations | None) -> str:
    """Return how the activations are quantized, "" if they are not."""
    if calibrated is None:
        return ""
    return ACTIVATIONS.format(
        qtype=calibrated.qtype,
        modules=len(calibrated.modules) - len(calibrated.unused),
        momentum=calibrated.momentum,
        samples=calibrated.samples,
        sample_hash=calibrated.sample_hash,
    )


def _kept(plan: Plan) -> str:
    reasons = plan.kept_reasons()
    if not reasons or plan.weights in DOWNCASTS:
        return ""
    rows = [f"| {reason} | {count} | {nbytes:,} |" for reason, (count, nbytes) in reasons.items()]
    return "\n".join(["", "| kept because | tensors | bytes |", "| --- | ---: | ---: |", *rows, ""])
