"""Tables of plans and footprints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table

from quantcli.formats import DOWNCASTS
from quantcli.text import format_bytes, layer_pattern

if TYPE_CHECKING:
    from quantcli.api import ComponentSize, Footprint, Prediction
    from quantcli.planning import Plan, TensorPlan


CAPTIONED = 2
"""Maximum dtypes in a caption: it stays within 80 columns."""


def make_table(title: str, left: Iterable[str], right: Iterable[str] = ()) -> Table:
    """Return an empty table: columns of texts, then columns of numbers."""
    table = Table(box=box.SIMPLE_HEAD, title=title)
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def size_table(footprint: Footprint) -> Table:
    """Return the sizes of a model: the original's, then a row for each weight dtype.

    A pipeline has a row for each component too, after that of all.
    """
    title = f"{footprint.model}: {footprint.parameters:,} parameters"
    parts = footprint.predictions[0].components if footprint.predictions else ()
    left = ["weights", "component"] if parts else ["weights"]
    table = make_table(title, left, ["bytes", "size", "ratio", "quantized", "coverage"])
    dtypes = ", ".join(footprint.original_dtypes)
    whole = ["all"] if parts else []
    table.add_row(f"original ({dtypes})", *whole, *_original_row(footprint.original_bytes))
    for part in parts:
        table.add_row("", part.name, *_original_row(part.original_bytes))
    for row in footprint.predictions:
        table.add_row(row.weights, *whole, *_size_row(row))
        for part in row.components:
            table.add_row("", part.name, *_size_row(part))
    smaller = [row for row in footprint.predictions if row.with_int8_embeddings][:CAPTIONED]
    if smaller:
        before = footprint.original_bytes
        sizes = (f"{row.weights} {_smaller(row.with_int8_embeddings, before)}" for row in smaller)
        table.caption = f"with --embeddings int8: {', '.join(sizes)}"
    return table


def _smaller(nbytes: int | None, whole: int) -> str:
    return f"{format_bytes(nbytes or 0)} ({(nbytes or 0) / max(whole, 1):.3f})"


def _original_row(nbytes: int) -> list[str]:
    return [f"{nbytes:,}", format_bytes(nbytes), "1.000", "", ""]


def _size_row(row: Prediction | ComponentSize) -> list[str]:
    return [
        f"{row.bytes:,}",
        format_bytes(row.bytes),
        f"{row.ratio:.3f}",
        str(row.tensors_quantized),
        f"{row.coverage:.1%}",
    ]


def dtypes_table(footprint: Footprint) -> Table:
    """Return the bytes of the original, by dtype."""
    table = make_table("original by dtype", ["dtype"], ["bytes", "size"])
    for dtype, nbytes in footprint.original_dtypes.items():
        table.add_row(dtype, f"{nbytes:,}", format_bytes(nbytes))
    return table


def footprint_table(plan: Plan) -> Table:
    """Return the sizes of the original and of the output, by dtype of the stored tensors."""
    title = f"{plan.model}: {plan.architecture}, {plan.parameters:,} parameters"
    table = make_table(title, ["", "dtype"], ["bytes", "size", "ratio"])
    _footprint_rows(table, "original", plan.original_dtypes, plan.original_bytes)
    _footprint_rows(table, plan.weights, plan.stored_dtypes(), plan.original_bytes)
    caption = f"{len(plan.quantized)} tensors quantized, {plan.coverage:.1%} of the weights"
    if plan.with_int8_embeddings:
        smaller = _smaller(plan.with_int8_embeddings, plan.original_bytes)
        caption += f"\nwith --embeddings int8: {smaller}"
    table.caption = caption
    return table


def components_table(summaries: Sequence[Mapping[str, Any]]) -> Table | None:
    """Return the sizes of a pipeline's components; None if there are none, as of a model."""
    if not summaries:
        return None
    columns = ["original", "bytes", "ratio", "quantized", "coverage"]
    table = make_table("components", ["component", "class", "dtype"], columns)
    for each in summaries:
        table.add_row(
            *map(escape, (each["name"], each["architecture"], each["dtype"])),
            f"{each['original']['bytes']:,}",
            f"{each['bytes']:,}",
            f"{each['ratio']:.3f}",
            str(each["tensors_quantized"]),
            f"{each['coverage']:.1%}",
        )
    return table


def _footprint_rows(table: Table, name: str, dtypes: Mapping[str, int], whole: int) -> None:
    total = sum(dtypes.values())
    ratio = f"{total / whole:.3f}" if whole else ""
    table.add_row(
        name,
        "all" if len(dtypes) > 1 else next(iter(dtypes), ""),
        f"{total:,}",
        format_bytes(total),
        ratio,
    )
    if len(dtypes) > 1:
        for dtype, nbytes in dtypes.items():
            table.add_row("", dtype, f"{nbytes:,}", format_bytes(nbytes), "")


def kept_table(plan: Plan) -> Table | None:
    """Return the reasons for keeping weight matrices.

    None if there are none, or if the plan only casts.
    """
    reasons = plan.kept_reasons()
    if not reasons or plan.weights in DOWNCASTS:
        return None
    table = make_table("kept", ["because"], ["tensors", "bytes"])
    for reason, (count, nbytes) in reasons.items():
        table.add_row(escape(reason), str(count), f"{nbytes:,}")
    return table


def plan_table(plan: Plan) -> Table:
    """Return the entries of a plan; those that differ only in a layer's number share a row."""
    table = make_table("plan", ["tensor", "shape", "action", "because"], ["count", "bytes"])
    groups: dict[tuple[str, str, str, str], list[TensorPlan]] = {}
    for tensor in plan.tensors:
        key = (
            layer_pattern(tensor.name),
            "x".join(map(str, tensor.shape)),
            _action(tensor),
            tensor.reason,
        )
        groups.setdefault(key, []).append(tensor)
    for key, tensors in groups.items():
        table.add_row(
            *map(escape, key), str(len(tensors)), f"{sum(tensor.nbytes for tensor in tensors):,}"
        )
    return table


def _action(tensor: TensorPlan) -> str:
    if tensor.action == "quantize":
        groups = f", group {tensor.group_size}" if tensor.group_size else ""
        return f"{tensor.qtype}{groups}"
    if tensor.action in ("keep", "cast"):
        return f"{tensor.action} {tensor.dtype}"
    return tensor.action
