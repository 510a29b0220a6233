"""A group size that fits no row is an error; one that fits some rows is said."""

from __future__ import annotations

import pytest

from quantcli.cli import main


def told(capsys, folder, size, *options):
    """Return the exit code and what is told of a group size."""
    words = ["quantize", str(folder), "-w", "int4", "--group-size", str(size), "--dry-run"]
    capsys.readouterr()  # making the model shows progress
    code = main([*words, *options])
    return code, capsys.readouterr().err.splitlines()


def test_one_that_divides_no_row_is_an_error(tiny_model, capsys):
    code, lines = told(capsys, tiny_model("bert"), 200)
    assert code == 2
    assert lines == [
        "error: --group-size 200 divides no row of this model; rows are 128, 384",
        "hint: sizes that divide every row: 32, 64, 128",
    ]


def test_the_rows_are_those_that_are_quantized(tiny_model, capsys):
    code, lines = told(capsys, tiny_model("bert"), 48, "--include", "*.query")
    assert (code, lines[0]) == (
        2,
        "error: --group-size 48 divides no row of this model; rows are 128",
    )


def test_one_that_divides_some_rows_is_said(tiny_model, capsys):
    code, lines = told(capsys, tiny_model("bert"), 48)
    assert code == 0
    (warning,) = lines
    assert warning == (
        "warning: --group-size 48 divides the rows of 2 of 13 weights; "
        "the other 11 (rows of 128) get Quanto's own group size"
    )


@pytest.mark.parametrize(("kind", "size"), [("bert", 64), ("bert", 128), ("vit", 96)])
def test_one_that_divides_every_row_is_right(tiny_model, capsys, kind, size):
    assert told(capsys, tiny_model(kind), size) == (0, [])


def test_a_hint_where_no_size_divides_every_row(tiny_model, capsys):
    code, lines = told(capsys, tiny_model("clip"), 1000)
    assert code == 2
    assert lines[1] == "hint: 32 divides the rows of 26 of 27 weights"
