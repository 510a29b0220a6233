"""`quantcli quantize`."""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.cli import activation_options, options, runtime_options
from quantcli.cli.interrupt import interrupted, unwind_on_interrupt
from quantcli.cli.terminal.output import (
    print_json,
    print_result,
    print_sentence,
    print_table,
    warn,
)
from quantcli.cli.terminal.streams import can_redraw
from quantcli.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from quantcli.api import Frozen, Request
    from quantcli.calibrating.request import CalibrateRequest
    from quantcli.planning import Plan

EXAMPLES = """\b
Examples:
  quantcli quantize openai/clip-vit-large-patch14
  quantcli quantize ./my-model -w int4 --exclude lm_head -o my-model-int4
"""


def quantize(
    model: options.Model = None,
    output: options.Output = None,
    weights: options.Weights = None,
    recipe: options.RecipeName = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    embeddings: options.Embeddings = None,
    rest: options.Rest = None,
    optimizer: options.Optimizer = None,
    group_size: options.GroupSize = None,
    calibration: options.CalibrationFile = None,
    activations: activation_options.Activations = None,
    calibration_data: activation_options.CalibrationData = None,
    calibration_samples: activation_options.CalibrationSamples = None,
    kernels: runtime_options.SavedKernels = None,
    runtime_activations: runtime_options.RuntimeActivations = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    max_shard_size: options.MaxShardSize = "5GB",
    jobs: options.Jobs = None,
    dry_run: options.DryRun = False,
    overwrite: options.Overwrite = False,
    class_name: options.ClassName = None,
    allow_unquantized: options.AllowUnquantized = False,
    html: options.Html = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Quantize a model's weights and write a frozen directory.

    The directory holds the quantized weights, the model's config and its tokenizer or processor, a
    manifest and a model card. It loads with quantcli.load, and with transformers wherever quantcli
    is installed.
    """
    began = time.perf_counter()
    if html is not None:
        if dry_run:
            raise UsageError("--html shows what was written", hint="leave out --dry-run")
        from quantcli.page import check_page

        check_page(html)
    from quantcli.api import make_request
    from quantcli.upstream.versions import version_warnings

    request = make_request(
        model,
        recipe=recipe,
        weights=weights,
        include=tuple(include) if include else None,
        exclude=tuple(exclude) if exclude else None,
        embeddings=embeddings,
        rest=rest,
        optimizer=optimizer,
        group_size=group_size,
        revision=revision,
        trust_remote_code=trust_remote_code,
        max_shard_size=options.parse_size(max_shard_size),
        show_downloads=can_redraw(sys.stderr) and not quiet,
        allow_unquantized=allow_unquantized,
        class_name=class_name,
        calibration=calibration,
        activations=activations,
        kernels=kernels,
        runtime_activations=runtime_activations,
        calibration_samples={"data": calibration_data, "samples": calibration_samples},
    )
    if not quiet:
        warn(version_warnings())
    if dry_run:
        _show_plan(request, output, as_json=as_json, quiet=quiet)
    else:
        frozen = _run(request, output, overwrite=overwrite, jobs=jobs, quiet=quiet)
        seconds = time.perf_counter() - began
        if html is not None:
            _write_report(html, frozen, request)
        _show(frozen, seconds, as_json=as_json, quiet=quiet)


def _run(
    request: Request, output: Path | None, *, overwrite: bool, jobs: int | None, quiet: bool
) -> Frozen:
    """Quantize with progress and warnings; exit if interrupted."""
    from quantcli.api import quantize_request
    from quantcli.cli.terminal.progress import make_progress, make_steps

    def calibrate(asked: CalibrateRequest) -> None:
        from quantcli.cli.calibrate import run_calibration

        if not quiet:
            warn(["no --calibration was given: making one from built-in samples"])
        run_calibration(asked, quiet=quiet)

    def on_plan(plan: Plan) -> None:
        gc.enable()  # everything is imported, and a run can be long
        unwind_on_interrupt()
        if not quiet:
            warn(plan.notices)

    try:
        frozen = quantize_request(
            request,
            output=output,
            overwrite=overwrite,
            jobs=jobs,
            progress=make_progress(quiet=quiet),
            steps=make_steps(quiet=quiet, what="calibrating"),
            on_plan=on_plan,
            calibrate=calibrate,
        )
    except KeyboardInterrupt:
        from quantcli.api import default_output

        raise interrupted(output or default_output(request)) from None
    if not quiet:
        warn(
            f"{name}: {count} rows are all zero: stored as 0, where Quanto stores NaN"
            for name, count in frozen.zero_rows.items()
        )
        warn(frozen.activations.notices if frozen.activations else ())
    return frozen


def _write_report(path: Path, frozen: Frozen, request: Request) -> None:
    """Write the HTML report: the new directory against the original."""
    from quantcli.api import inspect_frozen, peak_rss_bytes
    from quantcli.inspection.page import page
    from quantcli.page import write_page
    from quantcli.text import format_bytes

    ran = {
        "coverage": f"{frozen.plan.coverage:.1%} of the weights",
        "quantized in": f"{frozen.seconds:.1f} s",
        "peak memory": format_bytes(peak_rss_bytes()),
    }
    write_page(path, page(inspect_frozen(frozen, request), ran))


def _show_plan(request: Request, output: Path | None, *, as_json: bool, quiet: bool) -> None:
    from quantcli.api import check_plan, default_output, plan_request, summaries_of

    plan = plan_request(request)[0]
    if not quiet:
        warn(plan.notices)
    if as_json:
        print_json(plan.to_dict())
    elif quiet:
        target = output or default_output(request)
        print_result(f"would write {target}: {plan.nbytes:,} bytes, ratio {plan.ratio:.3f}")
    else:
        from quantcli.cli.tables.plans import (
            components_table,
            footprint_table,
            kept_table,
            plan_table,
        )

        parts = components_table(summaries_of(plan))
        _print_tables(plan_table(plan), kept_table(plan), parts, footprint_table(plan))
    check_plan(request, plan)


def _show(frozen: Frozen, seconds_total: float, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(summary(frozen, seconds_total))
    elif quiet:
        print_result(str(frozen.output))
    else:
        from quantcli.api import summaries_of
        from quantcli.cli.tables.plans import components_table, footprint_table, kept_table

        parts = components_table(summaries_of(frozen.plan))
        _print_tables(footprint_table(frozen.plan), parts, kept_table(frozen.plan))
        seconds = f"{frozen.seconds:.1f} s ({seconds_total:.1f} s in total)"
        print_sentence(f"{frozen.output}: written in {seconds}")


def _print_tables(*tables: Table | None) -> None:
    for table in tables:
        if table is not None:
            print_table(table)


def summary(frozen: Frozen, seconds_total: float) -> dict[str, Any]:
    """Return the JSON of a run."""
    from quantcli.api import peak_rss_bytes, summaries_of

    plan = frozen.plan
    return {
        "model": plan.model,
        "revision": plan.revision,
        "output": str(frozen.output),
        "weights": plan.weights,
        "original": {"bytes": plan.original_bytes, "dtypes": dict(plan.original_dtypes)},
        "quantized": {"bytes": plan.nbytes, "dtypes": plan.stored_dtypes()},
        "with_int8_embeddings": plan.with_int8_embeddings,
        "ratio": plan.ratio,
        "tensors_quantized": len(plan.quantized),
        "coverage": plan.coverage,
        "seconds": frozen.seconds,
        "seconds_total": seconds_total,
        "peak_rss_bytes": peak_rss_bytes(),
        "notices": [*plan.notices, *(frozen.activations.notices if frozen.activations else ())],
        **({"activations": frozen.activations.entry()} if frozen.activations else {}),
        **({"components": components} if (components := summaries_of(plan)) else {}),
    }
