"""`quantcli compare`."""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from quantcli.cli import options, sampling
from quantcli.cli.interrupt import INTERRUPTED, unwind_on_interrupt
from quantcli.cli.output import print_json, print_message, print_result, print_table, warn
from quantcli.text import plural

if TYPE_CHECKING:
    from quantcli.comparison.engine.prepare import Prepared
    from quantcli.comparison.reports import Report

EXAMPLES = """\b
Examples:
  quantcli compare ./my-model ./my-model-int8 --min-cosine 0.999
  quantcli compare openai/clip-vit-large-patch14 clip-vit-large-patch14-int8
  quantcli compare ./my-llm ./my-llm-int4 --max-kl 0.05 --junit report.xml
"""

FAILED = 1
"""The exit code where a gate failed."""

LONG = 20.0
"""Seconds from which on a user is told how long a comparison takes."""

HEADLINE = 6
"""How many metrics `--quiet` prints where there are no gates."""


def compare(
    original: options.Original = None,
    quantized: options.Quantized = None,
    recipe: options.RecipeName = None,
    task: sampling.Task = None,
    text: sampling.Text = None,
    image: sampling.Image = None,
    audio: sampling.Audio = None,
    data: sampling.Data = None,
    samples: sampling.Samples = None,
    max_tokens: sampling.MaxTokens = None,
    no_generate: sampling.NoGenerate = False,
    seed: sampling.Seed = None,
    min_cosine: sampling.MinCosine = None,
    max_kl: sampling.MaxKl = None,
    min_top1: sampling.MinTop1 = None,
    max_ppl_ratio: sampling.MaxPplRatio = None,
    min_generation_match: sampling.MinGenerationMatch = None,
    max_size_ratio: sampling.MaxSizeRatio = None,
    max_latency_ratio: sampling.MaxLatencyRatio = None,
    min_coverage: sampling.MinCoverage = None,
    min_exercised: sampling.MinExercised = None,
    gate: sampling.Gate = None,
    strict: sampling.Strict = False,
    report_only: sampling.ReportOnly = False,
    baseline: sampling.Baseline = None,
    max_regression: sampling.MaxRegression = None,
    save_baseline: sampling.SaveBaseline = None,
    markdown: sampling.Markdown = None,
    junit: sampling.Junit = None,
    revision: sampling.OriginalRevision = None,
    device: sampling.Device = "cpu",
    trust_remote_code: options.TrustRemoteCode = False,
    as_json: options.Json = False,
    quiet: options.QuietReport = False,
) -> None:
    """Measure whether a quantized model is still the same model; fail where a gate does.

    Both models run on the same samples, one after the other. Without samples of your own, built-in
    ones are taken. With a recipe that names the model, QUANTIZED alone will do.
    """
    from quantcli import api
    from quantcli.cli.progress import make_steps
    from quantcli.comparison.reports import check_writable

    request = api.make_compare_request(
        original,
        quantized,
        recipe=recipe,
        samples={
            "task": task,
            "text": text,
            "image": image,
            "audio": audio,
            "data": data,
            "samples": samples,
            "max_tokens": max_tokens,
            "generate": False if no_generate else None,
            "seed": seed,
        },
        gates={
            "min_cosine": min_cosine,
            "max_kl": max_kl,
            "min_top1": min_top1,
            "max_ppl_ratio": max_ppl_ratio,
            "min_generation_match": min_generation_match,
            "max_size_ratio": max_size_ratio,
            "max_latency_ratio": max_latency_ratio,
            "min_coverage": min_coverage,
            "min_exercised": min_exercised,
            "gate": gate,
            "strict": strict,
            "report_only": report_only,
            "baseline": baseline,
            "max_regression": max_regression,
        },
        device=device,
        trust_remote_code=trust_remote_code,
    )
    downloads = sys.stderr.isatty() and not quiet
    request = replace(request, revision=revision, show_downloads=downloads)
    for path in (markdown, junit, save_baseline):
        if path is not None:
            check_writable(path)

    def on_start(prepared: Prepared) -> None:
        _prepare_to_unwind()
        if not quiet:
            _say_what_runs(prepared)

    try:
        report = api.compare_request(
            request,
            progress=make_steps(quiet=quiet),
            on_start=on_start,
            on_estimate=None if quiet else _say_how_long,
        )
    except KeyboardInterrupt:
        print_message("error: interrupted")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        gc.unfreeze()
    _write_files(report, markdown=markdown, junit=junit, baseline=save_baseline)
    _show(report, as_json=as_json, quiet=quiet)
    if not report.judgement.exit_ok:
        for verdict in report.judgement.failed:
            print_message(f"error: gate failed: {verdict.message}")
        raise typer.Exit(FAILED)


def _prepare_to_unwind() -> None:
    """Let Ctrl-C remove the outputs that are kept on disk, and memory be looked after again."""
    gc.freeze()  # what was imported is no garbage, and to look through it takes a quarter second
    gc.enable()
    unwind_on_interrupt()


def _say_what_runs(prepared: Prepared) -> None:
    """Say what both models are going to do, where they generate text: that takes a while."""
    continued = sum(feed.generate for feed in prepared.feeds)
    if continued:
        print_message(
            f"comparing as {prepared.task}: {plural(len(prepared.feeds), 'sample')} through "
            f"both models, {continued} continued for up to {prepared.question.max_tokens} tokens"
        )


def _say_how_long(seconds: float) -> None:
    if seconds >= LONG:
        about = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
        print_message(
            f"about {about} to go; --samples, --max-tokens and --no-generate make it shorter"
        )


def _write_files(
    report: Report, *, markdown: Path | None, junit: Path | None, baseline: Path | None
) -> None:
    from quantcli.comparison import reports
    from quantcli.comparison.gates import save_baseline

    if markdown is not None:
        reports.write_report(markdown, reports.markdown(report))
    if junit is not None:
        reports.write_report(junit, reports.junit(report))
    if baseline is not None:
        save_baseline(baseline, report.comparison)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _tell_github(report)


def _tell_github(report: Report) -> None:
    """Annotate the run, and add to the summary of the step."""
    from quantcli.comparison import reports

    for line in reports.annotate(report):
        print_message(line)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(reports.markdown(report) + "\n")
        except OSError as error:  # the result is worth more than its second copy
            warn([f"cannot add to the summary of the step: {error.strerror}"])


def _show(report: Report, *, as_json: bool, quiet: bool) -> None:
    from quantcli.comparison import reports

    if not quiet:
        warn(report.comparison.notices)
    if as_json:
        print_json(reports.to_json(report))
    elif quiet:
        print_result(_one_line(report))
    else:
        from quantcli.cli.compare_tables import tables

        for table in tables(report):
            print_table(table)
        print_result(report.judgement.summary)


def _one_line(report: Report) -> str:
    """Return the verdict, or without gates the metrics that compare both models."""
    if report.judgement.verdicts:
        return report.judgement.summary
    from quantcli.comparison.metrics import ALWAYS
    from quantcli.comparison.reports.rows import metric_rows

    general = {metric.name for metric in ALWAYS}
    found = [
        f"{name} {value}"
        for name, value, *_ in metric_rows(report.comparison)
        if name not in general
    ]
    ratio = report.comparison.metrics["size_ratio"]
    return ", ".join([*found[:HEADLINE], f"size_ratio {ratio.value:.3f}"])
