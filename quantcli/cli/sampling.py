"""The options of `compare`: what the models are fed, and what the result is held to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantcli.cli.options import home
from quantcli.errors import UsageError, did_you_mean
from quantcli.metrics import TASKS


def _task(value: str | None) -> str | None:
    if value is not None and value not in TASKS:
        raise UsageError(f"--task: unknown task: {value}", hint=did_you_mean(value, TASKS))
    return value


Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="TASK",
        callback=_task,
        help=f"Compare as: {', '.join(TASKS)}. [default: what the architecture is for]",
    ),
]
Text = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="TEXT", help="A text to feed both models; repeatable."),
]
Image = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="FILE", help="An image to feed both models; repeatable."),
]
Audio = Annotated[
    list[str] | None,
    typer.Option("--audio", metavar="FILE", help="A recording to feed both models; repeatable."),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FILE",
        help="JSON lines with the fields text, image, audio and target.",
    ),
]
Samples = Annotated[
    int | None,
    typer.Option("--samples", metavar="N", min=1, help="At most so many samples of each kind."),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens", metavar="N", min=1, help="Tokens written after each prompt. [default: 32]"
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", min=0, help="Seed of all that is random. [default: 0]"),
]
MinCosine = Annotated[
    float | None,
    typer.Option("--min-cosine", metavar="X", help="Least mean cosine of every output."),
]
MaxKl = Annotated[
    float | None,
    typer.Option("--max-kl", metavar="X", help="Greatest mean KL divergence, in nats."),
]
MinTop1 = Annotated[
    float | None,
    typer.Option("--min-top1", metavar="X", help="Least agreement of the first choices, 0 to 1."),
]
MaxPplRatio = Annotated[
    float | None,
    typer.Option("--max-ppl-ratio", metavar="X", help="Greatest perplexity, over the original's."),
]
MinGenerationMatch = Annotated[
    float | None,
    typer.Option(
        "--min-generation-match",
        metavar="X",
        help="Least share of samples that are continued alike, 0 to 1.",
    ),
]
MaxSizeRatio = Annotated[
    float | None,
    typer.Option("--max-size-ratio", metavar="X", help="Greatest bytes, over the original's."),
]
MaxLatencyRatio = Annotated[
    float | None,
    typer.Option(
        "--max-latency-ratio", metavar="X", help="Greatest median latency, over the original's."
    ),
]
MinCoverage = Annotated[
    float | None,
    typer.Option("--min-coverage", metavar="X", help="Least share of quantized weights, 0 to 1."),
]
Gate = Annotated[
    list[str] | None,
    typer.Option("--gate", metavar="GATE", help="Any other: 'kl_p99<=0.5'; repeatable."),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Fail also where the limit lies inside the 95 % interval."),
]
ReportOnly = Annotated[bool, typer.Option("--report-only", help="Never fail because of a gate.")]
Baseline = Annotated[
    Path | None,
    typer.Option(
        "--baseline", metavar="FILE", callback=home, help="Compare with what --save-baseline wrote."
    ),
]
MaxRegression = Annotated[
    list[str] | None,
    typer.Option(
        "--max-regression",
        metavar="METRIC=X",
        help="How much worse than the baseline: kl_mean=5% or cosine_text=0.001; repeatable.",
    ),
]
SaveBaseline = Annotated[
    Path | None,
    typer.Option(
        "--save-baseline", metavar="FILE", callback=home, help="Keep what was measured for later."
    ),
]
Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", callback=home, help="Write a report in Markdown."),
]
Junit = Annotated[
    Path | None,
    typer.Option(
        "--junit", metavar="FILE", callback=home, help="Write a test case per gate, in JUnit's XML."
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="Where the models run: cpu, cuda, mps.")
]
