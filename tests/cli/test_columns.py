"""Tables on terminals of any width: cells break between words and names, never inside them."""

from __future__ import annotations

import io
import re

import pytest
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from quantcli.cli.columns import break_text, fit


def draw(columns, rows, *, width):
    table = Table(box=box.SIMPLE_HEAD)
    for name, options in columns.items():
        table.add_column(name, **options)
    for row in rows:
        table.add_row(*map(escape, row))
    console = Console(file=io.StringIO(), width=width)
    fitted, found = fit(table, console, width)
    console.width = found
    console.print(fitted)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= found
    return lines, found


NUMBER = {"justify": "right", "no_wrap": True}
NAME = "model.layers.*.self_attn.relative_position_bias.weight"


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("model.layers.0.weight", 14, ["model.layers.", "0.weight"]),
        ("model.layers.0.weight", 80, ["model.layers.0.weight"]),
        ("three plain words", 11, ["three plain", "words"]),
        ("three plain words", 3, ["three", "plain", "words"]),
        ("org/a-long-name", 8, ["org/", "a-long-name"]),
        ("名前. 名前", 6, ["名前.", "名前"]),
        ("", 5, [""]),
    ],
)
def test_where_texts_break(text, width, lines):
    assert break_text(text, width).split("\n") == lines


@pytest.mark.parametrize("width", [100, 80, 60, 50])
def test_rows_fit_and_lose_nothing(width):
    columns = {"tensor": {}, "because": {}, "bytes": NUMBER}
    row = (NAME, "Quanto has no quantized Embedding", "1,234,567")
    lines, found = draw(columns, [row], width=width)
    assert found <= width
    cells = [re.split(r"\s{2,}", line) for line in lines[2:] if line.strip("─ ")]
    assert "".join(cell for line in cells for cell in line).count(".") == NAME.count(".")
    assert "1,234,567" in "".join(lines)
    words = " ".join(lines).split()
    assert {"Quanto", "quantized", "Embedding"} <= set(words)


def test_underscores_break_where_dots_do_not_suffice():
    lines, found = draw({"tensor": {}, "bytes": NUMBER}, [(NAME, "12")], width=24)
    assert found <= 24
    assert any(line.strip().startswith("relative_") for line in lines)


def test_what_cannot_be_broken_runs_over():
    lines, found = draw({"name": {}, "bytes": NUMBER}, [("x" * 50, "1,234")], width=30)
    assert found > 30
    assert any("x" * 50 in line and "1,234" in line for line in lines)


def test_three_columns_of_text_share_the_width():
    rows = [("A prompt of several words", "What one model wrote after it", "[b]the same[/b]")]
    lines, found = draw({"prompt": {}, "original": {}, "quantized": {}}, rows, width=40)
    assert found <= 40
    assert "[b]the" in " ".join(lines)
