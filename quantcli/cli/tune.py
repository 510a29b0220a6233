"""`quantcli tune`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantcli.cli import options, sampling
from quantcli.cli.completing import completers
from quantcli.cli.interrupt import INTERRUPTED, unwind_on_interrupt
from quantcli.cli.terminal.output import (
    print_json,
    print_message,
    print_result,
    print_sentence,
    print_table,
    warn,
)
from quantcli.cli.terminal.streams import can_redraw
from quantcli.tuning.candidates import DEFAULT

if TYPE_CHECKING:
    from quantcli.api.tuning import TuneRequest
    from quantcli.tuning.result import FrontierPoint, Tuned

EXAMPLES = """\b
Examples:
  quantcli tune ./my-llm --gate 'kl_mean<=0.02' -o my-llm.toml
  quantcli tune ./my-llm --max-size-ratio 0.3 --cache my-llm.tuning -o small.toml
  quantcli quantize --recipe my-llm.toml
"""

FAILED = 1
"""Exit code if the gates cannot be met."""

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        autocompletion=completers.models,
        help="Hub id (org/name or org/name@revision) or folder.",
        show_default=False,
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        metavar="RECIPE",
        callback=options.home,
        help="The recipe to write, a .toml file.",
        show_default=False,
    ),
]
Gate = Annotated[
    list[str] | None,
    typer.Option(
        "--gate",
        metavar="GATE",
        autocompletion=completers.gates,
        help="Find the smallest model that meets it: 'kl_mean<=0.02'; repeatable.",
    ),
]
MaxSizeRatio = Annotated[
    float | None,
    typer.Option(
        "--max-size-ratio",
        metavar="X",
        help="Find the best model of at most this size, as a share of the original's bytes.",
    ),
]
Candidates = Annotated[
    str,
    typer.Option(
        "--candidates",
        metavar="DTYPES",
        help="What a module may become besides itself; int4:64 sets a group size.",
    ),
]
Optimizer = Annotated[
    str | None,
    typer.Option(
        "--optimizer",
        metavar="|".join(options.OPTIMIZERS),
        callback=options.check_optimizer,
        help="How int4 and int2 are rounded. [default: gptq]",
    ),
]
Calibration = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE",
        callback=options.home,
        help="What quantcli calibrate wrote. [default: make one]",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FILE",
        callback=options.home,
        help="Keep what was measured in a file: another target then takes no more measurements.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a recipe that tune has written.")
]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="No progress or warnings; print only the recipe.")
]


def tune(
    model: Model,
    output: Output,
    gate: Gate = None,
    max_size_ratio: MaxSizeRatio = None,
    candidates: Candidates = DEFAULT,
    optimizer: Optimizer = None,
    calibration: Calibration = None,
    cache: Cache = None,
    task: sampling.Task = None,
    text: sampling.Text = None,
    image: sampling.Image = None,
    audio: sampling.Audio = None,
    data: sampling.Data = None,
    samples: sampling.Samples = None,
    max_tokens: sampling.MaxTokens = None,
    seed: sampling.Seed = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    jobs: options.Jobs = None,
    overwrite: Overwrite = False,
    as_json: options.Json = False,
    quiet: Quiet = False,
) -> None:
    """Find a dtype for every module: the smallest model that meets gates, or the best of a size.

    Writes a recipe for quantize. How much each module matters is measured on built-in samples; the
    result is compared with the original on others, those of compare or your own, and corrected
    until the gates hold.
    """
    request = _request(locals())
    tuned = _run(request, output, overwrite=overwrite, jobs=jobs, quiet=quiet)
    _show(tuned, as_json=as_json, quiet=quiet)
    if not tuned.met:
        for verdict in tuned.report.judgement.failed:
            print_message(f"error: gate failed: {verdict.message}")
        raise typer.Exit(FAILED)


def _request(given: Mapping[str, Any]) -> TuneRequest:
    """Return the request for the options, by parameter name. Raises `UsageError`."""
    from quantcli.api.tuning import make_tune_request
    from quantcli.recipe.tables import CompareOptions

    samples = {key: given[key] for key in CompareOptions.model_fields if key in given}
    return make_tune_request(
        given["model"],
        gates=tuple(given["gate"] or ()),
        max_size_ratio=given["max_size_ratio"],
        candidates=given["candidates"],
        optimizer=given["optimizer"] or "gptq",
        calibration=given["calibration"],
        cache=given["cache"],
        samples=CompareOptions.check(samples, origin=None),
        revision=given["revision"],
        trust_remote_code=given["trust_remote_code"],
        show_downloads=can_redraw(sys.stderr) and not given["quiet"],
    )


def _run(
    request: TuneRequest, output: Path, *, overwrite: bool, jobs: int | None, quiet: bool
) -> Tuned:
    from quantcli.api.tuning import tune_request
    from quantcli.cli.terminal.stages import TerminalStages
    from quantcli.upstream.versions import version_warnings

    if not quiet:
        warn(version_warnings())
    gc.enable()
    unwind_on_interrupt()
    try:
        return tune_request(
            request,
            output=output,
            overwrite=overwrite,
            jobs=jobs,
            stages=TerminalStages(quiet=quiet),
        )
    except KeyboardInterrupt:
        print_message("error: interrupted")
        if request.cache is not None:
            print_message("hint: run the same command again: the cache has what was measured")
        raise typer.Exit(INTERRUPTED) from None


def _show(tuned: Tuned, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(to_json(tuned))
        return
    if quiet:
        print_result(str(tuned.recipe))
        return
    from quantcli.cli.tables.tune import tables
    from quantcli.text import format_bytes, plural

    warn(tuned.report.comparison.notices)
    for table in tables(tuned):
        print_table(table)
    size = f"{format_bytes(tuned.nbytes)}, {tuned.ratio:.3f} of the original"
    met = "" if tuned.met else "; the gates are not met"
    print_sentence(
        f"{tuned.recipe}: {size}, after {plural(tuned.trials, 'model')} written and compared{met}"
    )


def to_json(tuned: Tuned) -> dict[str, Any]:
    """Return the JSON of a result."""
    from quantcli.comparison import reports

    report = reports.to_json(tuned.report)
    return {
        "model": tuned.model,
        "revision": tuned.revision,
        "recipe": str(tuned.recipe),
        "met": tuned.met,
        "bytes": tuned.nbytes,
        "ratio": tuned.ratio,
        **{key: report[key] for key in ("gates", "metrics", "intervals", "task", "samples")},
        "frontier": [_point(point) for point in tuned.frontier],
        "modules": [
            {
                "pattern": share.pattern,
                "dtypes": dict(share.dtypes),
                "bytes": share.nbytes,
                "original_bytes": share.original_bytes,
                "bits": share.bits,
            }
            for share in tuned.shares
        ],
        "trials": tuned.trials,
        "notices": report["notices"],
    }


def _point(point: FrontierPoint) -> dict[str, Any]:
    return {
        "bytes": point.nbytes,
        "ratio": point.ratio,
        "metrics": dict(point.metrics),
        "measured": point.measured,
        "chosen": point.chosen,
    }
