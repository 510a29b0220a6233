"""docs/zoo.md: the totals, a row for each model type, and what could not be done."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from quantcli.text import plural
from zoo.heads_page import section
from zoo.kept import Reasons
from zoo.nearness import NOISES
from zoo.numbers import cut
from zoo.planned import PLAIN, WITH_EMBEDDINGS
from zoo.ran import ENOUGH
from zoo.totals import Results, table, totals

HEAD = """# The zoo

Every model type of transformers {transformers} that has a base model: planned at the size of its
default config, and run at a small size, with optimum-quanto {quanto} and torch {torch}. `make zoo`
writes this page. It takes up to half an hour on two cores, and downloads nothing.

{totals}

- **Planned**: the model is built on the meta device, and the plan is made from the names and shapes
  that saving it would write. Sizes are those of the stored tensors in MB (10^6 bytes); before, they
  are in float32. Coverage is the share of the parameters of weight matrices that are quantized.
- **Run**: the config is shrunk by rules for its keys (`tests/zoo/rules.py`), the weights are random
  (`tests/zoo/weights.py`), and the inputs are those that `quantcli compare` makes, or more for a
  model that takes others. The model is saved, quantized to int8, loaded and run. *Cosine* compares
  its main output with the original's. **≠** marks a model of which any bit of any output differs
  from the same model quantized in memory.

## Model types

{rows}

What is kept is a share of the bytes before; its reason is one of these:

{reasons}
"""

FAR = f"""## Outputs with a cosine below {ENOUGH}

The output of each model that is farthest from the original's. The last column is the original's own
cosine under random noise of the size of int8's rounding on the same weights, the lowest of {NOISES}
draws. Where it is low too, the model turns small differences into large ones: it chooses experts,
boxes, codes or lengths.

| model type | output | cosine | with noise |
| --- | --- | ---: | ---: |"""

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


def render(planned: Results, ran: Results, heads: Results) -> str:
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
    parts = [
        head,
        section(heads),
        _far(ran),
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
    return "" if value is None else f"{math.floor(value * 1000) / 1000:.3f}"


def _cosine(found: Mapping[str, Any]) -> str:
    if "cosine" not in found:
        return ""
    value = cut(found["cosine"])
    return f"{value} ≠" if found["differs"] else value


def _far(ran: Results) -> str:
    """Return a section with the outputs that are far from the original's."""
    rows = [
        f"| {name} | `{found['worst'][0]}` | {cut(found['worst'][1])} | {cut(found['noise'])} |"
        for name, found in ran.items()
        if "noise" in found
    ]
    return "\n".join([FAR, *rows]) + "\n" if rows else ""


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
    head = "| model type | step | reason |\n| --- | --- | --- |"
    return "\n".join([f"## {title}\n\n{plural(len(rows), 'model type')}.\n", head, *rows]) + "\n"
