"""Tables on terminals of any width: cells break between words and names, never inside them."""

from __future__ import annotations

import io
import re

import pytest
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from quantcli.cli.terminal.columns import break_text, fit
from quantcli.cli.terminal.decimals import align


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
    assert max(map(cell_len, lines)) <= found
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
        ("名前名前", 4, ["名前", "名前"]),
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


def test_an_option_is_not_broken_behind_its_hyphens():
    lines, _ = draw({"because": {}}, [("kept (--embeddings quantizes)",)], width=16)
    assert "(--embeddings" in "\n".join(lines)


def test_underscores_break_where_dots_do_not_suffice():
    lines, found = draw({"tensor": {}, "bytes": NUMBER}, [(NAME, "12")], width=24)
    assert found <= 24
    assert any(line.strip().startswith("relative_") for line in lines)


def test_a_row_that_cannot_be_broken_becomes_a_paragraph():
    rows = [("x" * 50, "1,234"), ("a long name of words", ""), ("short", "5")]
    lines, found = draw({"name": {}, "bytes": NUMBER}, rows, width=20)
    assert found > 20
    assert [line.split(maxsplit=1) for line in lines if line] == [
        ["name", "x" * 50],
        ["bytes", "1,234"],
        ["name", "a long name"],
        ["of", "words"],
        ["name", "short"],
        ["bytes", "5"],
    ]
    assert all(len(line) <= 20 for line in lines if "x" not in line)


def test_numbers_are_aligned_on_their_points():
    rows = [("a", "0.123456"), ("b", "12.5"), ("c", "7"), ("d", "none")]
    lines, _ = draw({"name": {}, "value": NUMBER}, rows, width=40)
    points = {line.find(".") for line in lines if "." in line}
    assert len(points) == 1
    assert next(line for line in lines if "c " in line).find("7") == points.pop() - 1
    assert next(line for line in lines if "none" in line).endswith("none")


def test_numbers_are_not_aligned_where_that_takes_too_much_width():
    rows = [("1234567.5",), ("0.1234567",)]
    assert draw({"value": NUMBER}, rows, width=80)[1] > draw({"value": NUMBER}, rows, width=13)[1]


@pytest.mark.parametrize(
    ("cells", "aligned"),
    [
        (["1.5", "10", "0.25%"], [" 1.5  ", "10    ", " 0.25%"]),
        (["1,234", "5"], ["1,234", "    5"]),
        (["1.5 MB", "20.25 ms"], [" 1.5  MB", "20.25 ms"]),
        (["0.1 to 0.25", "0.123 to 11.5"], ["0.1   to  0.25", "0.123 to 11.5 "]),
        (["+0.5", "-12.25"], [" +0.5 ", "-12.25"]),
        (["3.5 ± 0.1", "20"], [" 3.5 ± 0.1", "20        "]),
        (["NaN", "", "not measured"], ["NaN", "", "not measured"]),
        ([], []),
    ],
)
def test_decimal_points(cells, aligned):
    assert align(cells) == aligned


def test_scripts_without_spaces_break_anywhere():
    lines, found = draw({"text": {}, "bytes": NUMBER}, [("長い文章" * 20, "1,234")], width=30)
    assert found <= 30
    assert "".join("".join(lines).split()).count("長") == 20


def test_a_verdict_is_coloured_and_still_a_word():
    table = Table("gate", "verdict")
    for word in ("passed", "failed", "uncertain", "other"):
        table.add_row("x", word)
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=60)
    console.print(fit(table, console, 60)[0])
    shown = console.file.getvalue()
    for word, code in {"passed": 32, "failed": 31, "uncertain": 33}.items():
        assert f"\x1b[{code}m{word}" in shown
    assert "mother" not in shown


def test_what_a_terminal_would_obey_is_not_sent_to_it():
    lines, _ = draw({"text": {}}, [("a\x1b[31mb\x07",)], width=40)
    assert "a�[31mb" in "".join(lines)


def test_three_columns_of_text_share_the_width():
    rows = [("A prompt of several words", "What one model wrote after it", "[b]the same[/b]")]
    lines, found = draw({"prompt": {}, "original": {}, "quantized": {}}, rows, width=40)
    assert found <= 40
    assert "[b]the" in " ".join(lines)
