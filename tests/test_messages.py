"""A fact is found in a message as a whole, or not at all."""

from __future__ import annotations

import pytest
from messages import assert_says, assert_silent, refuses, says

from quantcli.errors import ModelError, UsageError


@pytest.mark.parametrize(
    ("fact", "message", "found"),
    [
        pytest.param("16", "expected 16, not 8", True, id="number"),
        pytest.param("16", "expected 160", False, id="part of a number"),
        pytest.param("16", "16,384 bytes", False, id="thousands"),
        pytest.param("384", "16,384 bytes", False, id="after a comma"),
        pytest.param("16", "rows of 16, 384", True, id="list of numbers"),
        pytest.param("1", "-1 is out of range", False, id="minus"),
        pytest.param("1", "0.1", False, id="decimal"),
        pytest.param("int4", "int42", False, id="part of a word"),
        pytest.param("bert", "bert-int8 exists", False, id="part of a name"),
        pytest.param("bert", "no folder: bert.", True, id="end of a sentence"),
        pytest.param("bert", "./bert/config.json", True, id="part of a path"),
        pytest.param("a.weight", "a.weight._scale is missing", False, id="longer name"),
        pytest.param("a.weight", "b.a.weight is missing", False, id="deeper name"),
        pytest.param("-o", "use -o out", True, id="option"),
        pytest.param("--over", "use --overwrite", False, id="part of an option"),
        pytest.param("*.x", "by *.x", True, id="glob"),
    ],
)
def test_facts_are_whole(fact, message, found):
    assert says(message, fact) == found


def test_what_is_not_said_fails():
    assert_says("a of b", "a", "b")
    assert_says("a of b", ("a", "b"))
    assert_silent(None, "a")
    with pytest.raises(AssertionError, match="'c' is not said in: a of b"):
        assert_says("a of b", "a", "c")
    with pytest.raises(AssertionError, match="'b' is said in: a of b"):
        assert_silent("a of b", "c", "b")


def test_errors_are_held_to_class_message_and_hint():
    with refuses(ModelError, "3 tensors", hint="-w"):
        raise ModelError("3 tensors are gone", hint="use -w")
    with pytest.raises(AssertionError), refuses(ModelError, "3", hint="-o"):
        raise ModelError("3 tensors are gone", hint="use -w")
    with pytest.raises(UsageError), refuses(ModelError, "3"):
        raise UsageError("3")
