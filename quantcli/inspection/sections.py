"""An inspection as sections of an HTML page: where the bytes are, and the error by layer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from quantcli.inspection.error import TensorError
from quantcli.inspection.folding import fold
from quantcli.inspection.records import Inspection, ModuleInspection, TensorInspection
from quantcli.inspection.sorting import in_order
from quantcli.page import Block, Chart, Section, Table
from quantcli.page.charts import Tile, heat_map, treemap
from quantcli.text import format_bytes, layer_pattern, plural

MAX_TILES = 250
"""Maximum number of tiles of a treemap: smaller ones cannot be told apart."""

MAX_PLACES = 60
"""Maximum number of rows of the heat map: a UNet has hundreds of places."""

WORST = 20
"""Number of rows of the table of the worst tensors."""

HEIGHT = 380
"""Height of the treemap of the original, in CSS pixels; the other's is in proportion."""

_LAYER = re.compile(r"\.(\d+)(?=\.|$)")
"""The first number in a name: that of a layer."""

LOWEST = 110
"""Minimum height of a treemap, in CSS pixels."""


def bytes_section(inspection: Inspection) -> Section:
    """Return treemaps of the original, if it is known, and of the model, and its dtypes."""
    return Section("Where the bytes are", [*_treemaps(inspection), _formats(inspection)])


def error_section(inspection: Inspection) -> Section:
    """Return a heat map of the error by layer, and the worst tensors. Empty without errors."""
    measured = [each for each in inspection.tensors if each.error and not each.error.exact]
    if not measured:
        return Section("Error by layer", [])
    charts = [_heat_map(measured)] if len(measured) > 1 else []
    return Section("Error by layer", [*charts, _worst(measured)])


def _treemaps(inspection: Inspection) -> Iterator[Block]:
    """Yield the original, if it is known, and the model: areas are in the same scale."""
    modules = [each for each in _modules(inspection) if each.formats]
    paths = _paths([each.name for each in modules])
    before, after = inspection.total.original_bytes, inspection.total.bytes
    scale = HEIGHT / max(before or 0, after, 1)
    if before is not None and before != after:
        tiles = [
            Tile(path=path, nbytes=size, label=format_bytes(size))
            for path, each in zip(paths, modules, strict=True)
            if (size := each.original_bytes or 0)
        ]
        yield _treemap("The original", tiles, before, scale)
    colours = _colours(inspection)
    tiles = [
        Tile(
            path=path,
            nbytes=each.bytes,
            label=f"{format_bytes(each.bytes)}, {main}",
            colour=colours[main],
        )
        for path, each in zip(paths, modules, strict=True)
        for main in [next(iter(each.formats))]
    ]
    yield _treemap("Quantized" if inspection.frozen else "The model", tiles, after, scale)


def _treemap(name: str, tiles: Sequence[Tile], total: int, scale: float) -> Chart:
    shown = format_bytes(total)
    largest = max(tiles, key=lambda tile: tile.nbytes)
    summary = (
        f"{name}: {shown} in {plural(len(tiles), 'part')}; "
        f"the largest is {'.'.join(largest.path)}, {largest.label}."
    )
    if {tile.colour for tile in tiles} > {0}:
        summary += " Grey parts are not quantized."
    height = max(LOWEST, round(total * scale))
    return treemap(f"{name}: {shown}", tiles, root=shown, summary=summary, height=height)


def _modules(inspection: Inspection) -> Sequence[ModuleInspection]:
    """Return the modules at the greatest depth that still gives few enough of them."""
    deepest = max((each.module.count(".") + 1 for each in inspection.tensors), default=1)
    found = fold(inspection, 1)
    for depth in range(2, deepest + 1):
        finer = fold(inspection, depth)
        if len(finer) > MAX_TILES:
            break
        found = finer
    return found


def _paths(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the paths of tiles: a stack, a layer of it, and what is left of the name.

    A module with tensors of its own beside modules in it gets a tile of its own.
    """
    paths = [_path(name or "the model") for name in names]
    inner = {path[:depth] for path in paths for depth in range(len(path))}
    return [(*path, "(its own)") if path in inner else path for path in paths]


def _path(name: str) -> tuple[str, ...]:
    number = _LAYER.search(name)
    if number is None:
        return tuple(name.split(".", 1))
    parts = (name[: number.start()], number[1], name[number.end() + 1 :])
    return tuple(filter(None, parts))


def _colours(inspection: Inspection) -> dict[str, int]:
    """Return the index of each format's colour: the first for all that is not quantized."""
    quantized = {each.format for each in inspection.tensors if each.qtype is not None}
    ranks = [name for name in inspection.total.formats if name in quantized]
    return {
        name: ranks.index(name) + 1 if name in quantized else 0 for name in inspection.total.formats
    }


def _formats(inspection: Inspection) -> Table:
    total = inspection.total
    rows = [
        (name, f"{nbytes:,}", format_bytes(nbytes), f"{nbytes / max(total.bytes, 1):.1%}")
        for name, nbytes in total.formats.items()
    ]
    columns = ("stored as", "bytes", "size", "share")
    return Table(columns=columns, rows=rows, numbers=frozenset(columns[1:]))


def _heat_map(measured: Sequence[TensorInspection]) -> Chart:
    """Return the SQNR with a row for each place in a layer, and a column for each layer."""
    cells: dict[tuple[str, str], TensorError] = {}
    for each in measured:
        number = _LAYER.search(each.name)
        key = (layer_pattern(each.name), number[1] if number else "")
        cells[key] = cells.get(key, TensorError()) + (each.error or TensorError())
    places = _worst_places(cells)
    rows = [*dict.fromkeys(row for row, _ in cells if row in places)]
    columns = sorted({column for _, column in cells}, key=lambda text: int(text or -1))
    values = [
        [cells[row, column].sqnr_db if (row, column) in cells else None for column in columns]
        for row in rows
    ]
    worst = min(cells, key=lambda key: cells[key].sqnr_db)
    where = f"{worst[0]}, layer {worst[1]}" if worst[1] else worst[0]
    return heat_map(
        "Error by layer: SQNR in dB, higher is better",
        values,
        rows=_short(rows),
        columns=[column or "-" for column in columns],
        scale="SQNR, dB",
        summary=f"{plural(len(cells), 'weight')} with an error; the lowest SQNR is "
        f"{cells[worst].sqnr_db:.1f} dB, in {where}. A column is a layer.{_left_out(cells, rows)}",
    )


def _worst_places(cells: Mapping[tuple[str, str], TensorError]) -> set[str]:
    """Return the places in a layer with the lowest SQNR: as many as a heat map shows."""
    ranked = sorted(cells, key=lambda key: cells[key].sqnr_db)
    return {*[*dict.fromkeys(row for row, _ in ranked)][:MAX_PLACES]}


def _left_out(cells: Mapping[tuple[str, str], TensorError], shown: Sequence[str]) -> str:
    more = len({row for row, _ in cells}) - len(shown)
    return f" {plural(more, 'place')} with less error not shown." if more else ""


def _short(names: Sequence[str]) -> list[str]:
    """Return names without what comes before a layer, if they stay different, and ".weight"."""
    whole = [name.removesuffix(".weight") for name in names]
    places = [name.rpartition(".*.")[2] for name in whole]
    stacks = [
        f"{name.partition('.')[0]}…{place}" for name, place in zip(whole, places, strict=True)
    ]
    return next((found for found in (places, stacks) if len({*found}) == len(names)), whole)


def _worst(measured: Sequence[TensorInspection]) -> Table:
    """Return the tensors of the lowest SQNR."""
    found = in_order(measured, "sqnr")
    rows = [
        (
            each.name,
            each.format,
            f"{each.error.sqnr_db:.2f}",
            f"{each.error.cosine:.6f}",
            f"{each.error.max_error:.3g}",
            f"{each.share:.1%}",
        )
        for each in found[:WORST]
        if each.error
    ]
    return Table(
        columns=("tensor", "stored as", "SQNR, dB", "cosine", "max error", "share"),
        rows=rows,
        caption=f"{len(rows)} of {plural(len(found), 'tensor')} with an error, the worst first",
        numbers=frozenset({"SQNR, dB", "cosine", "max error", "share"}),
        code=frozenset({"tensor"}),
    )
