"""docs/zoo.md: the totals, a row for each model type, and what could not be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from zoo.kept import Reasons
from zoo.planned import PLAIN, WITH_EMBEDDINGS
from zoo.ran import ENOUGH
from zoo.totals import Results, table, totals

HEAD = """# The zoo

Every model type of transformers {transformers} that has a base model, planned at the size of its default
config and run at a small size, with optimum-quanto {quanto} and torch {torch}. `make zoo` writes this page;
it takes about half an hour, and nothing is downloaded.

{totals}

- **Planned**: the model is built on the meta device, and the plan is made from the names and shapes that
  saving it would write. Sizes are those of the stored tensors in MB (10^6 bytes), in float32 before.
  Coverage is the share of the parameters of weight matrices that are quantized.
- **Run**: the config is shrunk by rules for its keys (`tests/zoo/rules.py`), the weights are random
  (`tests/zoo/weights.py`), and the inputs are those that `quantcli compare` makes, with more for models
  that take others. The model is saved, quantized to int8, loaded and run. *Cosine* compares its main output
  with the original's. **≠** marks models of which an output differs from that of the model quantized in
  memory, bit for bit.

## Model types

{rows}

What is kept, as a share of the bytes before, has a number for its reason:

{reasons}
"""

COLUMNS = (
    "model type",
    "parameters",
    "before",
    "int8",
    "+ emb.",
    "coverage",
    "+ emb.",
    "cosine",
    "kept",
)


def render(planned: Results, ran: Results) -> str:
    """Return the page."""
    whole = {name: found for name, found in planned.items() if "failed" not in found}
    reasons = Reasons(whole.values())
    head = HEAD.format(
        transformers=version("transformers"),
        quanto=version("optimum-quanto"),
        torch=version("torch").partition("+")[0],
        totals=table(totals(planned, ran)),
        rows="\n".join(_rows(whole, ran, reasons)),
        reasons=reasons.listed(),
    )
    unstable = {name: found for name, found in ran.items() if found.get("cosine", 1) < ENOUGH}
    parts = [
        head,
        _far(unstable),
        _failures("Not built", planned, {"build"}),
        _failures("Not planned", planned, None, but={"build"}),
        _failures("Not run", {name: found for name, found in ran.items() if name in whole}, None),
    ]
    return "\n".join(part for part in parts if part)


def _rows(whole: Results, ran: Results, reasons: Reasons) -> Iterator[str]:
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"| --- |{' ---: |' * (len(COLUMNS) - 2)} --- |"
    for name, found in whole.items():
        cells = (
            name,
            f"{found['parameters'] / 1e6:,.1f} M",
            _megabytes(found["before"]),
            *(_megabytes(found["after"].get(recipe)) for recipe in (PLAIN, WITH_EMBEDDINGS)),
            *(_share(found["coverage"].get(recipe)) for recipe in (PLAIN, WITH_EMBEDDINGS)),
            _cosine(ran.get(name, {})),
            reasons.of(found),
        )
        yield f"| {' | '.join(cells)} |"


def _megabytes(nbytes: int | None) -> str:
    return "" if nbytes is None else f"{nbytes / 1e6:,.1f}"


def _share(value: float | None) -> str:
    # cut off, not rounded: 0.99 must not be said of less
    return "" if value is None else f"{int(value * 1000) / 1000:.3f}"


def _cosine(found: Mapping[str, Any]) -> str:
    if "cosine" not in found:
        return ""
    value = f"{int(found['cosine'] * 10000) / 10000:.4f}"
    return f"{value} ≠" if found["differs"] else value


def _far(ran: Results) -> str:
    if not ran:
        return ""
    lines = [
        f"## Cosine below {ENOUGH}\n",
        "The last column is the cosine of the original to itself with random noise of the size of int8's",
        "rounding on the same weights: where it is low too, the model turns small differences into large",
        "ones (a choice of experts, of boxes, of codes).\n",
        "| model type | output | cosine | with noise |\n| --- | --- | ---: | ---: |",
    ]
    lines += [
        f"| {name} | `{found['output']}` | {found['cosine']:.4f} | {found['noise']:.4f} |"
        for name, found in ran.items()
    ]
    return "\n".join(lines) + "\n"


def _failures(
    title: str, found: Results, only: set[str] | None, *, but: set[str] | None = None
) -> str:
    """Return a section with the types that failed in some steps, each with its reason."""
    rows = [
        f"| {name} | {result['failed']} | {result['reason'].replace('|', '/')} |"
        for name, result in found.items()
        if "failed" in result
        and (only is None or result["failed"] in only)
        and (but is None or result["failed"] not in but)
    ]
    if not rows:
        return ""
    head = f"## {title}\n\n{len(rows)} model types.\n\n| model type | step | reason |\n| --- | --- | --- |"
    return "\n".join([head, *rows]) + "\n"
