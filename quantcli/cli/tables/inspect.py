"""Tables of an inspection: what is stored, or how large the errors are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from quantcli.cli.tables.plans import make_table
from quantcli.formats import QUANTIZED
from quantcli.inspection import (
    Inspection,
    ModuleInspection,
    TensorError,
    fold,
    fold_layers,
    in_order,
    unfold,
)
from quantcli.text import format_bytes, plural

if TYPE_CHECKING:
    from rich.table import Table

ROWS = 40
"""Rows of a table of sizes, if no number is asked for."""

WORST = 20
"""Rows of a table of errors."""

SIZES = ("bytes", "share")
ERRORS = ("SQNR", "cosine", "max", "MSE", "saturated", "zeroed")


def tables(
    found: Inspection, *, depth: int | None, order: str, limit: int | None
) -> Iterator[Table]:
    """Yield the tables of an inspection: of modules with a `depth`, else of tensors.

    `limit` is the number of rows: 0 is the usual one, and None all of them, with a row for every
    tensor.
    """
    if found.against is not None:
        yield _errors(found, depth=depth, order=order, limit=limit)
        return
    if depth is not None:
        yield _module_sizes(found, in_order(fold(found, depth), order), limit)
        return
    is_short = found.whole and limit is not None
    rows = fold_layers(found) if limit is not None else unfold(found)
    yield _tensor_sizes(found, in_order(rows, order), limit, reasons=not is_short)
    if is_short:
        yield from _reasons(found)


def _tensor_sizes(
    found: Inspection, rows: Sequence[ModuleInspection], limit: int | None, *, reasons: bool
) -> Table:
    shown = rows[: _number(limit, ROWS)]
    folded = any(row.tensors > 1 for row in shown)
    left = ["tensor", "shape", "stored as", *(["because"] if reasons else [])]
    table = make_table(_title(found), left, [*(["count"] if folded else []), *SIZES])
    for row in shown:
        tensor = row.alike
        assert tensor is not None, row.name
        cells = [row.name, "x".join(map(str, tensor.shape)), stored_as(row)]
        numbers = [str(row.tensors)] if folded else []
        why = [tensor.reason] if reasons else []
        table.add_row(*map(escape, [*cells, *why]), *numbers, *_size(row))
    table.caption = _caption(found, rows, shown, "row")
    return table


def _module_sizes(found: Inspection, rows: Sequence[ModuleInspection], limit: int | None) -> Table:
    shown = rows[: _number(limit, ROWS)]
    table = make_table(_title(found), ["module", "formats"], ["tensors", *SIZES])
    for row in shown:
        formats = ", ".join(row.formats)
        table.add_row(escape(_name(row)), formats, str(row.tensors), *_size(row))
    table.caption = _caption(found, rows, shown, "module")
    return table


def _errors(found: Inspection, *, depth: int | None, order: str, limit: int | None) -> Table:
    what, noun = ("tensor", "tensor") if depth is None else ("module", "module")
    rows: Sequence[ModuleInspection] = unfold(found) if depth is None else fold(found, depth)
    rows = in_order([row for row in rows if row.error is not None], order)
    shown = rows[: _number(limit, WORST)]
    table = make_table(_title(found), [what, "format"], ERRORS)
    table.columns[1].no_wrap = True  # the names get the room
    for row in shown:
        table.add_row(escape(_name(row)), _formats(row), *_figures(row.error))
    if len(rows) > 1:
        table.add_section()
        for name, total in _totals(found):
            table.add_row(name, "", *_figures(total.error))
    table.caption = _caption(found, rows, shown, noun)
    return table


def _totals(found: Inspection) -> Iterator[tuple[str, ModuleInspection]]:
    """Yield all quantized values as one row, and all values if others are compared too."""
    quantized, whole = found.quantized, found.total
    if quantized.error is not None:
        yield "quantized", quantized
    if whole.error is not None and whole.error != quantized.error:
        yield "all values", whole


def _figures(error: TensorError | None) -> list[str]:
    """Return the cells of an error, in the order of `ERRORS`."""
    assert error is not None
    if error.exact:
        return ["exact", "", "", "", "", ""]
    saturated = error.saturated_share
    return [
        decibels(error),
        f"{error.cosine:.6f}",
        f"{error.max_error:.1e}",
        f"{error.mse:.1e}",
        "" if saturated is None else f"{saturated:.2%}",
        f"{error.zeroed_share:.2%}",
    ]


def decibels(error: TensorError) -> str:
    """Return the SQNR with one decimal; "exact" where nothing changed."""
    if error.exact:
        return "exact"
    return f"{error.sqnr_db:.1f}" if math.isfinite(error.sqnr_db) else str(error.sqnr_db)


def stored_as(row: ModuleInspection) -> str:
    """Return how the tensors of a row are stored: "int4, group 128"."""
    tensor = row.alike
    if tensor is None:
        return ", ".join(row.formats)
    if not tensor.is_stored:
        return "alias" if tensor.action == "alias" else "computed"
    groups = f", group {tensor.group_size}" if tensor.group_size else ""
    return f"{tensor.format}{groups}"


def _formats(row: ModuleInspection) -> str:
    """Return the weight formats of a row; its dtypes if nothing is quantized."""
    return ", ".join([each for each in row.formats if each in QUANTIZED] or row.formats)


def _reasons(found: Inspection) -> Iterator[Table]:
    """Yield a table of why tensors are not quantized, if there are reasons."""
    counts, sizes = Counter[str](), Counter[str]()
    for tensor in found.tensors:
        if tensor.reason and tensor.qtype is None:
            counts[tensor.reason] += 1
            sizes[tensor.reason] += tensor.bytes
    if counts:
        table = make_table("not quantized", ["because"], ["tensors", "bytes"])
        for reason, nbytes in sizes.most_common():
            table.add_row(escape(reason), str(counts[reason]), f"{nbytes:,}")
        yield table


def _size(row: ModuleInspection) -> list[str]:
    return [f"{row.bytes:,}", f"{row.share:.1%}"]


def _name(row: ModuleInspection) -> str:
    return row.name or "(the whole model)"


def _number(limit: int | None, usual: int) -> int | None:
    return usual if limit == 0 else limit


def _title(found: Inspection) -> str:
    """Return the model, its class, its bytes, and what it is compared with."""
    name = f"{found.model}: {found.architecture}"
    weights = f", {found.weights}" if found.weights else ""
    title = f"{name}{weights}, {format_bytes(found.bytes)}"
    if found.frozen and found.original_bytes:
        title += f" of {format_bytes(found.original_bytes)}"
    return title if found.against is None else f"{title}\nagainst {found.against}; SQNR in dB"


def _caption(
    found: Inspection,
    rows: Sequence[ModuleInspection],
    shown: Sequence[ModuleInspection],
    noun: str,
) -> str:
    """Return how many tensors there are, and how to see those that are not shown."""
    count = plural(len(found.tensors), "tensor")
    text = f"{count}, {format_bytes(found.total.bytes)}"
    exact = [row for row in rows if row.error is not None and row.error.exact]
    if exact:
        text += f"; {len(exact)} of {plural(len(rows), noun)} exact"
    if len(shown) < len(rows):
        text += f"\nand {plural(len(rows) - len(shown), f'more {noun}')} (--all shows every one)"
    return text
