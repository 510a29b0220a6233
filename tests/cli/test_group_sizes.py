"""A group size that fits no row is an error; one that fits some rows is said."""

from __future__ import annotations

import pytest
from messages import assert_says, assert_silent

from quantcli.cli import main


def plan(capsys, folder, size, *options):
    """Return the exit code and the lines on standard error of a dry run with a group size."""
    words = ["quantize", str(folder), "-w", "int4", "--group-size", str(size), "--dry-run"]
    capsys.readouterr()  # making the model shows progress
    code = main([*words, *options])
    return code, capsys.readouterr().err.splitlines()


def test_one_that_divides_no_row_is_an_error(tiny_model, capsys):
    code, (error, hint) = plan(capsys, tiny_model("bert"), 200)
    assert code == 2
    assert_says(error, "error:", "--group-size 200", "128", "384")
    assert_says(hint, "hint:", "32", "64", "128")


def test_the_rows_are_those_that_are_quantized(tiny_model, capsys):
    code, (error, _) = plan(capsys, tiny_model("bert"), 48, "--include", "*.query")
    assert code == 2
    assert_says(error, "error:", "--group-size 48", "128")
    assert_silent(error, "384")


def test_one_that_divides_some_rows_is_said(tiny_model, capsys):
    code, (warning,) = plan(capsys, tiny_model("bert"), 48)
    assert code == 0
    assert_says(warning, "warning:", "--group-size 48", "2 of 13", "11", "128", "Quanto")


@pytest.mark.parametrize(("kind", "size"), [("bert", 64), ("bert", 128), ("vit", 96)])
def test_one_that_divides_every_row_is_right(tiny_model, capsys, kind, size):
    assert plan(capsys, tiny_model(kind), size) == (0, [])


def test_a_hint_where_no_size_divides_every_row(tiny_model, capsys):
    code, (error, hint) = plan(capsys, tiny_model("clip"), 1000)
    assert code == 2
    assert_says(error, "--group-size 1000", "64", "128", "256", "384")
    assert_says(hint, "hint:", "32", "26 of 27")
