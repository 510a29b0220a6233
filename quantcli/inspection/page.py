"""An inspection as an HTML page: of a model, or of what `quantize` has just written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from quantcli.inspection.folding import fold_layers
from quantcli.inspection.records import Inspection
from quantcli.inspection.sections import bytes_section, error_section
from quantcli.page import Block, Chart, Facts, Note, Page, Section, Table
from quantcli.page.charts import Axis, histogram
from quantcli.text import format_bytes, plural

NARROW = 4
"""Number of edges from which on the outermost bins are drawn as wide as the others."""


def page(inspection: Inspection, ran: Mapping[str, str] | None = None) -> Page:
    """Return an inspection as a page; `ran` says how the model was quantized just now."""
    sections = [
        Section("Summary", [Facts(pairs=dict(_summary(inspection)) | dict(ran or {}))]),
        bytes_section(inspection),
        error_section(inspection),
        Section("Distribution", [*_distribution(inspection)]),
        Section("Not quantized", [*_kept(inspection)]),
        Section("Every tensor", [_tensors(inspection)]),
        Section("Notices", [*map(Note, inspection.notices)]),
        Section("Provenance", [_models(inspection), *origin(inspection)]),
    ]
    against = f" against {inspection.against}" if inspection.against else ""
    total = inspection.total
    return Page(
        title=f"{inspection.model}{against}",
        subject=f"{inspection.architecture}: {plural(total.tensors, 'tensor')}, "
        f"{total.parameters:,} parameters, {format_bytes(total.bytes)}.",
        sections=[section for section in sections if section.blocks],
    )


def origin(inspection: Inspection) -> Iterator[Block]:
    """Yield what the manifest of a frozen model says of where it comes from; nothing of others."""
    facts = {f"made from {key}": text for key, text in inspection.origin.get("source", {}).items()}
    versions = inspection.origin.get("versions", {})
    facts["made by"] = ", ".join(f"{name} {found}" for name, found in versions.items())
    if any(facts.values()):
        yield Facts(pairs={key: text for key, text in facts.items() if text})
    recipe: Mapping[str, object] = inspection.origin.get("recipe", {})
    rows = [(key, str(value)) for key, value in recipe.items() if value not in (None, [], {})]
    if rows:
        yield Table(columns=("recipe", "value"), rows=rows, code=frozenset({"recipe", "value"}))


def _distribution(inspection: Inspection) -> Iterator[Chart]:
    """Yield the histogram of a tensor, if one was asked for."""
    found = inspection.histogram
    if found is None:
        return
    sides = {"mapped back" if found.original else "values": found.values}
    if found.original is not None:
        sides = {"original": found.original} | sides
    edges = [*found.edges]
    if len(edges) > NARROW:
        # the outermost bins reach to the extremes: drawn to scale they would be all of the chart
        edges[0], edges[-1] = 2 * edges[1] - edges[2], 2 * edges[-2] - edges[-3]
    yield histogram(
        f"Values of {found.tensor}; the outermost bars count all that is beyond",
        edges,
        {name: side.bins for name, side in sides.items()},
        axis=Axis(title="value"),
        marks={},
    )


def _models(inspection: Inspection) -> Facts:
    facts = {"model": inspection.model, "revision": inspection.revision or "none: a folder"}
    if inspection.against:
        facts["against"] = inspection.against
        facts["its revision"] = inspection.against_revision or "none: a folder"
    return Facts(pairs=facts)


def _summary(inspection: Inspection) -> Iterator[tuple[str, str]]:
    total, before = inspection.total, inspection.total.original_bytes
    if before is not None and inspection.frozen:
        yield "original", f"{format_bytes(before)} ({before:,} bytes)"
    yield "size", f"{format_bytes(total.bytes)} ({total.bytes:,} bytes)"
    if before and inspection.frozen:
        yield "ratio", f"{total.bytes / before:.3f}"
    if inspection.weights is not None:
        quantized = [each for each in inspection.tensors if each.qtype is not None]
        yield "weights", f"{inspection.weights}, {plural(len(quantized), 'tensor')} quantized"
    error = inspection.error
    if error is not None:
        yield "SQNR of all values", "exact" if error.exact else f"{error.sqnr_db:.2f} dB"


def _kept(inspection: Inspection) -> Iterator[Table]:
    counts, sizes = Counter[str](), Counter[str]()
    for each in inspection.tensors:
        if each.reason and each.qtype is None and each.is_stored:
            counts[each.reason] += 1
            sizes[each.reason] += each.bytes
    rows = [(reason, str(counts[reason]), f"{size:,}") for reason, size in sizes.most_common()]
    if rows:
        columns = ("because", "tensors", "bytes")
        yield Table(columns=columns, rows=rows, numbers=frozenset(columns[1:]))


def _tensors(inspection: Inspection) -> Table:
    """Return all tensors, those of the same place in each layer in one row."""
    rows = [
        (
            each.name,
            str(each.tensors),
            ", ".join(each.formats),
            f"{each.bytes:,}",
            f"{each.share:.1%}",
            "" if each.error is None or each.error.exact else f"{each.error.sqnr_db:.2f}",
        )
        for each in fold_layers(inspection)
    ]
    columns = ("tensor", "count", "stored as", "bytes", "share", "SQNR, dB")
    return Table(
        columns=columns,
        rows=rows,
        numbers=frozenset(columns) - {"tensor", "stored as"},
        code=frozenset({"tensor"}),
    )
