"""`quantcli compare`."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantcli.cli import options, runtime_options, sampling
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
from quantcli.text import plural

if TYPE_CHECKING:
    from quantcli.comparison.engine.prepare import Prepared
    from quantcli.comparison.reports import Report
    from quantcli.comparison.request import CompareRequest

EXAMPLES = """\b
Examples:
  quantcli compare ./my-model ./my-model-int8 --min-cosine 0.999
  quantcli compare openai/clip-vit-large-patch14 clip-vit-large-patch14-int8
  quantcli compare ./my-llm ./my-llm-int4 --max-kl 0.05 --junit report.xml
"""

FAILED = 1
"""Exit code if a gate failed."""

LONG = 20.0
"""Print an estimate if a comparison takes longer, in seconds."""

HEADLINE = 6
"""Maximum number of metrics that `--quiet` prints without gates."""


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
    markdown: Annotated[
        Path | None, options.report_file("markdown", "Write a report in Markdown.")
    ] = None,
    junit: Annotated[
        Path | None, options.report_file("junit", "Write JUnit XML with a test case per gate.")
    ] = None,
    html: options.Html = None,
    revision: sampling.OriginalRevision = None,
    device: sampling.Device = "cpu",
    kernels: runtime_options.Kernels = None,
    activations: runtime_options.Activations = None,
    trust_remote_code: options.TrustRemoteCode = False,
    as_json: options.Json = False,
    quiet: options.QuietReport = False,
) -> None:
    """Measure whether a quantized model is still the same model; fail if a gate does.

    Both models run on the same samples, one after the other. Without samples of your own, built-in
    ones are used. With a recipe that names the model, QUANTIZED alone is enough.
    """
    given = locals()
    request = _request(given)
    files = _files(given)
    report = _compare(request, weights=html is not None, quiet=quiet)
    _write_files(report, files, save_baseline)
    _show(report, as_json=as_json, quiet=quiet)
    if not report.judgement.exit_ok:
        for verdict in report.judgement.failed:
            print_message(f"error: gate failed: {verdict.message}")
        raise typer.Exit(FAILED)


def _request(given: Mapping[str, Any]) -> CompareRequest:
    """Return the request for the options, by parameter name. Raises `UsageError`."""
    from quantcli import api
    from quantcli.recipe.tables import CompareOptions, GateOptions

    # a flag that was not given must not override the recipe
    options = {key: None if value is False else value for key, value in given.items()}
    samples = {key: options[key] for key in CompareOptions.model_fields if key in options}
    gates = {key: options[key] for key in GateOptions.model_fields}
    if given["no_generate"]:
        samples["generate"] = False
    return api.make_compare_request(
        given["original"],
        given["quantized"],
        recipe=given["recipe"],
        samples=CompareOptions.check(samples, origin=None),
        gates=GateOptions.check(gates, origin=None),
        device=given["device"],
        kernels=given["kernels"],
        activations=given["activations"],
        revision=given["revision"],
        trust_remote_code=given["trust_remote_code"],
        show_downloads=can_redraw(sys.stderr) and not given["quiet"],
    )


def _files(given: Mapping[str, Any]) -> dict[str, Path]:
    """Return the report files to write, by format.

    Raises `MachineError` if one cannot be written, `UsageError` if what it is made with is missing.
    """
    from quantcli.comparison.reports import FORMATS, check_writable

    files = {name: given[name] for name in FORMATS if given[name] is not None}
    for path in (*files.values(), given["save_baseline"]):
        if path is not None:
            check_writable(path)
    if "html" in files:
        from quantcli.page import check_installed

        check_installed()
    return files


def _compare(request: CompareRequest, *, weights: bool, quiet: bool) -> Report:
    from quantcli import api
    from quantcli.cli.terminal.progress import make_steps
    from quantcli.upstream.versions import version_warnings

    if not quiet:
        warn(version_warnings())

    def on_start(prepared: Prepared) -> None:
        _prepare_to_unwind()
        if not quiet:
            _print_plan(prepared)

    try:
        return api.compare_request(
            request,
            progress=make_steps(quiet=quiet),
            weights=weights,
            on_start=on_start,
            on_estimate=None if quiet else _print_estimate,
        )
    except KeyboardInterrupt:
        print_message("error: interrupted")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        gc.unfreeze()


def _prepare_to_unwind() -> None:
    """Let Ctrl-C delete temporary files, and turn garbage collection on."""
    gc.freeze()  # imported modules are no garbage, and scanning them takes a quarter of a second
    gc.enable()
    unwind_on_interrupt()


def _print_plan(prepared: Prepared) -> None:
    """Print what will run if the models generate text, which takes a while."""
    feeds = prepared.fed.feeds
    generating = sum(feed.generate for feed in feeds)
    if generating:
        print_message(
            f"comparing as {prepared.task}: {plural(len(feeds), 'sample')} through both "
            f"models, {generating} continued for up to {prepared.request.max_tokens} tokens"
        )


def _print_estimate(seconds: float) -> None:
    if seconds >= LONG:
        about = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
        print_message(f"about {about} left; --samples, --max-tokens and --no-generate shorten it")


def _write_files(report: Report, files: Mapping[str, Path], baseline: Path | None) -> None:
    from quantcli.comparison.gates import save_baseline
    from quantcli.comparison.reports import FORMATS, write_report

    for name, path in files.items():
        write_report(path, FORMATS[name](report))
    if baseline is not None:
        save_baseline(baseline, report.comparison)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _annotate(report)


def _annotate(report: Report) -> None:
    """Annotate the run of GitHub Actions, and add the report to the step summary."""
    from quantcli.comparison import reports

    for line in reports.annotate(report):
        print_message(line)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(reports.markdown(report) + "\n")
        except OSError as error:  # the result matters more than its copy in the summary
            warn([f"cannot add to the step summary: {error.strerror}"])


def _show(report: Report, *, as_json: bool, quiet: bool) -> None:
    from quantcli.comparison import reports

    if not quiet:
        warn(report.comparison.notices)
    if as_json:
        print_json(reports.to_json(report))
    elif quiet:
        print_result(_one_line(report))
    else:
        from quantcli.cli.tables.compare import tables

        for table in tables(report):
            print_table(table)
        print_sentence(report.judgement.summary)


def _one_line(report: Report) -> str:
    """Return the verdict, or the first metrics of the task without gates."""
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
