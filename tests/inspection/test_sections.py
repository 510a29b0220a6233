"""An inspection as sections of a page: what is left out, what is drawn in proportion."""

from __future__ import annotations

from dataclasses import replace

import pytest
import specimens

from quantcli.inspection.sections import MAX_PLACES, MAX_TILES, bytes_section, error_section
from quantcli.page import Chart, Table


def charts(section):
    return [block for block in section.blocks if isinstance(block, Chart)]


def many(count, name):
    """Return an inspection of `count` quantized tensors; a later one has less error."""
    tensors = tuple(
        specimens.tensor(
            name.format(index), qtype="qint8", bytes=64, error=specimens.error(10.0 ** (-index / 9))
        )
        for index in range(count)
    )
    return replace(specimens.inspection(), tensors=tensors)


def test_the_places_with_the_most_error_are_drawn():
    (chart,) = charts(error_section(many(MAX_PLACES + 5, "place{}.weight")))
    (cells,) = chart.figure["data"]
    assert len(cells["y"]) == MAX_PLACES
    assert cells["y"][0] == "place0"
    assert "5 places with less error not shown" in chart.summary


def test_what_is_exact_has_no_error_section():
    tensors = (specimens.tensor("a.weight", error=specimens.error(0.0)), specimens.tensor("b"))
    assert not error_section(replace(specimens.inspection(), tensors=tensors)).blocks


def test_one_tensor_has_no_heat_map():
    section = error_section(many(1, "place{}.weight"))
    assert charts(section) == []
    (table,) = section.blocks
    assert isinstance(table, Table)
    assert len(table.rows) == 1


def test_a_treemap_has_few_enough_tiles():
    inspection = many(MAX_TILES + 1, "model.layers.{}.mlp.up.weight")
    (_, chart) = charts(bytes_section(inspection))
    (tiles,) = chart.figure["data"]
    assert len(tiles["ids"]) <= MAX_TILES
    assert max(tiles["values"]) == sum(tensor.bytes for tensor in inspection.tensors)


@pytest.mark.parametrize("original", [None, 256 * 3])
def test_an_unknown_original_is_not_drawn(original):
    tensors = tuple(
        specimens.tensor(f"layer.{index}.weight", bytes=64, original_bytes=original and 256)
        for index in range(3)
    )
    section = bytes_section(replace(specimens.inspection(), tensors=tensors))
    assert len(charts(section)) == (1 if original is None else 2)
