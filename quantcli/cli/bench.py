"""`quantcli bench`."""

from __future__ import annotations

import sys
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

if TYPE_CHECKING:
    from quantcli.benchmarking.results import Benchmark, SideResult
    from quantcli.benchmarking.run import BenchRequest

EXAMPLES = """\b
Examples:
  quantcli bench ./my-llm-int4
  quantcli bench ./my-llm-int8 --against org/my-llm --json
"""

Directory = Annotated[
    str,
    typer.Argument(
        metavar="DIR",
        autocompletion=completers.folders,
        help="Frozen directory.",
        show_default=False,
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="MODEL",
        autocompletion=completers.models,
        help="The original, to be measured beside it.",
    ),
]
Rounds = Annotated[
    int,
    typer.Option("--rounds", metavar="N", min=1, help="How often each side takes its turn."),
]
Batch = Annotated[
    list[int] | None,
    typer.Option(
        "--batch",
        metavar="N",
        min=1,
        help="Samples in a batch, if the model writes no text; repeatable. [default: 1, 8, 32]",
    ),
]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="No progress or warnings; print only the ratios.")
]


def bench(
    directory: Directory,
    against: Against = None,
    rounds: Rounds = 5,
    batch: Batch = None,
    seed: sampling.Seed = None,
    trust_remote_code: options.TrustRemoteCode = False,
    as_json: options.Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how fast a frozen model runs, with each kernel choice that this machine has.

    Models that write text read a prompt (prefill) and write tokens (decode); others run on batches
    of random samples. Each side runs in a process of its own, and they take turns.
    """
    from quantcli.api.benchmarking import BATCHES, make_bench_request

    request = make_bench_request(
        directory,
        against=against,
        rounds=rounds,
        batches=batch or BATCHES,
        seed=seed or 0,
        trust_remote_code=trust_remote_code,
        show_downloads=can_redraw(sys.stderr) and not quiet,
    )
    found = _run(request, quiet=quiet)
    if not quiet:
        warn(found.notices)
    if as_json:
        print_json(to_json(found))
    elif quiet:
        for line in _lines(found):
            print_result(line)
    else:
        from quantcli.cli.tables.bench import tables

        for table in tables(found):
            print_table(table)
        threads = f"{found.threads} threads, {found.machine}"
        print_sentence(
            f"medians of {found.rounds} rounds on {threads}; ratios to {found.sides[0].name}"
        )


def _run(request: BenchRequest, *, quiet: bool) -> Benchmark:
    from quantcli.api.benchmarking import bench_request
    from quantcli.cli.terminal.progress import make_steps

    unwind_on_interrupt()
    try:
        return bench_request(request, make_steps(quiet=quiet, what="measuring"))
    except KeyboardInterrupt:
        print_message("error: interrupted")
        raise typer.Exit(INTERRUPTED) from None


def _lines(found: Benchmark) -> list[str]:
    """Return a line for each side and workload: the ratio to the first side."""
    return [
        f"{side.name}: {timed.workload.name}: {_number(found.ratio(side, index))}"
        for side in found.sides[1:]
        for index, timed in enumerate(side.timed)
    ]


def _number(ratio: float | None) -> str:
    return "failed" if ratio is None else f"{ratio:.3f}"


def to_json(found: Benchmark) -> dict[str, Any]:
    """Return the JSON of a result."""
    return {
        "directory": found.directory,
        "rounds": found.rounds,
        "threads": found.threads,
        "machine": found.machine,
        "sides": [_side(found, side) for side in found.sides],
        "notices": [*found.notices],
    }


def _side(found: Benchmark, side: SideResult) -> dict[str, Any]:
    return {
        "name": side.name,
        "model": side.model,
        "kernels": side.kernels or None,
        "activations": side.activations or None,
        "load_seconds": side.load_seconds,
        "peak_rss_bytes": side.peak_bytes,
        "workloads": [
            {
                "name": timed.workload.name,
                "batch": timed.workload.batch,
                "items": timed.workload.items,
                "item": timed.workload.item,
                "seconds": timed.seconds and timed.seconds.median,
                "seconds_low": timed.seconds and timed.seconds.low,
                "seconds_high": timed.seconds and timed.seconds.high,
                "per_second": timed.rate,
                "ratio": found.ratio(side, index),
                "problem": timed.problem or None,
            }
            for index, timed in enumerate(side.timed)
        ],
    }
