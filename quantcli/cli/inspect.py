"""`quantcli inspect`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantcli.cli import options
from quantcli.cli.completing import completers
from quantcli.cli.terminal.output import print_json, print_result, print_table, warn
from quantcli.cli.terminal.streams import can_redraw
from quantcli.errors import UsageError, did_you_mean
from quantcli.inspection.sorting import ERROR_SORTS, SORTS

if TYPE_CHECKING:
    from quantcli.api import InspectRequest
    from quantcli.inspection import Inspection, ModuleInspection, TensorError, TensorInspection

EXAMPLES = """\b
Examples:
  quantcli inspect all-MiniLM-L6-v2-int8
  quantcli inspect all-MiniLM-L6-v2-int8 --against sentence-transformers/all-MiniLM-L6-v2
  quantcli inspect all-MiniLM-L6-v2-int8 'encoder.layer.0.*' --all
"""


def _sort(value: str | None) -> str | None:
    if value is not None and value not in SORTS:
        raise UsageError(f"--sort: unknown value: {value}", hint=did_you_mean(value, SORTS))
    return value


def inspect(
    model: Annotated[
        str,
        typer.Argument(
            metavar="DIR|MODEL",
            autocompletion=completers.models,
            help="Frozen directory, folder, or Hub id (org/name or org/name@revision).",
            show_default=False,
        ),
    ],
    tensors: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TENSOR",
            help="Globs of tensor names, or names of modules. [default: all]",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="MODEL",
            autocompletion=completers.models,
            help="The original, or another model of the same class: measures each tensor's error.",
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth",
            metavar="N",
            min=0,
            help="List modules, by the first N parts of their names, instead of tensors.",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="ORDER",
            callback=_sort,
            autocompletion=completers.one_of(SORTS),
            help=f"Order: {', '.join(SORTS)}. [default: sqnr with --against, else model]",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="N", min=1, help="List N rows. [default: 20 or 40]"),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="List every tensor in a row of its own, or every module.")
    ] = False,
    histogram: Annotated[
        str | None,
        typer.Option(
            "--histogram", metavar="TENSOR", help="Show the distribution of one tensor's values."
        ),
    ] = None,
    revision: options.Revision = None,
    class_name: options.ClassName = None,
    trust_remote_code: options.TrustRemoteCode = False,
    jobs: options.Jobs = None,
    html: options.Html = None,
    as_json: options.Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress or warnings.")] = False,
) -> None:
    """Show what is in a model tensor by tensor, and how far it is from the original.

    Reads only headers, unless --against or --histogram needs the values. Those are read in blocks,
    so a model may be larger than the memory.
    """
    order = _order(sort, against)
    if histogram is not None and (tensors or depth is not None):
        raise UsageError(
            "--histogram shows one tensor", hint="leave out the other tensors and --depth"
        )
    if html is not None:
        from quantcli.page import check_page

        check_page(html)
    from quantcli.api import InspectRequest
    from quantcli.paths import model_name

    request = InspectRequest(
        model=model_name(model),
        tensors=tuple(tensors or ()),
        against=None if against is None else model_name(against),
        histogram=histogram,
        revision=revision,
        class_name=class_name,
        trust_remote_code=trust_remote_code,
        show_downloads=can_redraw(sys.stderr) and not quiet,
    )
    found = _run(request, jobs=jobs, quiet=quiet)
    if html is not None:
        _write_page(html, found)
    if as_json:
        print_json(to_json(found, depth=depth, order=order))
    else:
        _show(found, depth=depth, order=order, limit=None if everything else top or 0)


def _order(sort: str | None, against: str | None) -> str:
    """Return the order of the rows. Raises `UsageError` for one that needs another model."""
    if sort in ERROR_SORTS and against is None:
        raise UsageError(
            f"--sort {sort} needs the original", hint="give the original: --against MODEL"
        )
    return sort or ("model" if against is None else "sqnr")


def _run(request: InspectRequest, *, jobs: int | None, quiet: bool) -> Inspection:
    from quantcli.api import inspect_request
    from quantcli.cli.terminal.progress import make_progress
    from quantcli.upstream.versions import version_warnings

    if not quiet:
        warn(version_warnings())
    progress = make_progress(quiet=quiet, what="comparing")
    found = inspect_request(request, jobs=jobs, progress=progress)
    if not quiet:
        warn([*found.notices, *not_finite(found)])
    return found


def not_finite(found: Inspection) -> list[str]:
    """Return a notice for each of the first few tensors that hold NaN or infinite values."""
    from quantcli.text import some

    names = [
        f"{tensor.name} ({error.not_finite}, {error.not_finite_changed} of them changed)"
        for tensor in found.tensors
        if (error := tensor.error) is not None and error.not_finite
    ]
    return [f"NaN or infinite values, left out of the figures: {some(names)}"] if names else []


def _write_page(path: Path, found: Inspection) -> None:
    from quantcli.inspection.page import page
    from quantcli.page import write_page

    write_page(path, page(found))


def _show(found: Inspection, *, depth: int | None, order: str, limit: int | None) -> None:
    from quantcli.cli.tables import inspect as inspect_tables

    if found.histogram is not None:
        from quantcli.cli.tables.histogram import draw

        print_result(draw(found))
        return
    for table in inspect_tables.tables(found, depth=depth, order=order, limit=limit):
        print_table(table)


def to_json(found: Inspection, *, depth: int | None = None, order: str = "model") -> dict[str, Any]:
    """Return the JSON of an inspection: its tensors and its modules, in an order."""
    from quantcli.inspection import fold, in_order

    whole = {
        "model": found.model,
        "revision": found.revision,
        "architecture": found.architecture,
        "frozen": found.frozen,
        "weights": found.weights,
        "bytes": found.bytes,
        "original": {"bytes": found.original_bytes},
        "against": found.against,
        "against_revision": found.against_revision,
        "error": _figures(found.error),
        "quantized_error": _figures(found.quantized.error),
        "tensors": [*map(_tensor, in_order(found.tensors, order))],
        "modules": [*map(_module, in_order(fold(found, depth), order))],
    }
    return whole | ({"histogram": found.histogram.to_dict()} if found.histogram else {})


def _tensor(tensor: TensorInspection) -> dict[str, Any]:
    return asdict(tensor) | {"error": _figures(tensor.error)}


def _module(module: ModuleInspection) -> dict[str, Any]:
    fields = asdict(module) | {"error": _figures(module.error)}
    del fields["alike"]
    return fields


def _figures(error: TensorError | None) -> dict[str, Any] | None:
    return None if error is None else error.figures()
