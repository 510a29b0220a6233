"""The options of `compare`: samples, gates and files. Their values are checked as in a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from quantcli.cli.completing import completers
from quantcli.cli.options import home
from quantcli.comparison.tasks import TASKS


def task(text: str) -> Any:
    """Return the option for a task; `text` says what is done as it."""
    return typer.Option(
        "--task",
        metavar="TASK",
        autocompletion=completers.one_of([*TASKS]),
        help=f"{text} [default: from the architecture]",
    )


def repeatable(name: str, value: str, text: str) -> Any:
    """Return the option for samples of one kind, given one by one."""
    return typer.Option(f"--{name}", metavar=value, help=f"{text}; repeatable.")


Task = Annotated[str | None, task(f"Compare as: {', '.join(TASKS)}.")]
Text = Annotated[list[str] | None, repeatable("text", "TEXT", "A text to feed both models")]
Image = Annotated[list[str] | None, repeatable("image", "FILE", "An image to feed both models")]
Audio = Annotated[
    list[str] | None, repeatable("audio", "FILE", "An audio file to feed both models")
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
    typer.Option("--samples", metavar="N", min=1, help="Use at most N samples of each kind."),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens",
        metavar="N",
        min=1,
        help="Tokens to generate after each prompt. [default: 32]",
    ),
]
NoGenerate = Annotated[
    bool, typer.Option("--no-generate", help="Skip text generation, which is slow.")
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", min=0, help="Random seed. [default: 0]"),
]
MinCosine = Annotated[
    float | None,
    typer.Option("--min-cosine", metavar="X", help="Minimum mean cosine of each output."),
]
MaxKl = Annotated[
    float | None,
    typer.Option("--max-kl", metavar="X", help="Maximum mean KL divergence, in nats."),
]
MinTop1 = Annotated[
    float | None,
    typer.Option("--min-top1", metavar="X", help="Minimum top-1 agreement, 0 to 1."),
]
MaxPplRatio = Annotated[
    float | None,
    typer.Option("--max-ppl-ratio", metavar="X", help="Maximum ratio of the perplexities."),
]
MinGenerationMatch = Annotated[
    float | None,
    typer.Option(
        "--min-generation-match",
        metavar="X",
        help="Minimum share of samples with the same generated text, 0 to 1.",
    ),
]
MaxSizeRatio = Annotated[
    float | None,
    typer.Option("--max-size-ratio", metavar="X", help="Maximum ratio of the sizes in bytes."),
]
MaxLatencyRatio = Annotated[
    float | None,
    typer.Option("--max-latency-ratio", metavar="X", help="Maximum ratio of the median latencies."),
]
MinCoverage = Annotated[
    float | None,
    typer.Option("--min-coverage", metavar="X", help="Minimum share of quantized weights, 0 to 1."),
]
MinExercised = Annotated[
    float | None,
    typer.Option(
        "--min-exercised",
        metavar="X",
        help="Minimum share of the quantized weights that the samples reach, 0 to 1.",
    ),
]
OriginalRevision = Annotated[
    str | None,
    typer.Option("--revision", metavar="REV", help="Branch, tag or commit of the original."),
]
Gate = Annotated[
    list[str] | None,
    typer.Option(
        "--gate",
        metavar="GATE",
        autocompletion=completers.gates,
        help="Any other metric: 'kl_p99<=0.5'; repeatable.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Fail uncertain gates too (limit inside the 95 % interval)."),
]
ReportOnly = Annotated[
    bool, typer.Option("--report-only", help="Report failed gates, but exit with 0.")
]
Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline", metavar="FILE", help="Compare with a file that --save-baseline wrote."
    ),
]
MaxRegression = Annotated[
    list[str] | None,
    typer.Option(
        "--max-regression",
        metavar="METRIC=X",
        autocompletion=completers.regressions,
        help="Maximum change for the worse: kl_mean=5% or cosine_text=0.001; repeatable.",
    ),
]
SaveBaseline = Annotated[
    Path | None,
    typer.Option(
        "--save-baseline", metavar="FILE", callback=home, help="Save the metrics as a baseline."
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        autocompletion=completers.one_of(["cpu", "cuda", "mps"]),
        help="Device to run on: cpu, cuda or mps.",
    ),
]
