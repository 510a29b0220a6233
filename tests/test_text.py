"""The pieces of messages, each of which is written once."""

from __future__ import annotations

import pytest

from quantcli.text import first_line, layer_pattern, plural, shorten, some


@pytest.mark.parametrize(
    ("names", "options", "text"),
    [
        pytest.param([], {}, "", id="none"),
        pytest.param(["a", "b", "c"], {}, "a, b, c", id="all"),
        pytest.param(["a", "b", "c", "d"], {}, "a, b, c and 1 more", id="one-more"),
        pytest.param(["a", "b", "c"], {"limit": 1}, "a and 2 more", id="limit"),
        pytest.param(["a", "b"], {"limit": 1, "noun": "kind"}, "a and 1 more kind", id="noun"),
        pytest.param(
            ["a", "b", "c"], {"limit": 1, "noun": "kind"}, "a and 2 more kinds", id="nouns"
        ),
        pytest.param(
            ["a", "b", "c"], {"limit": 2, "separator": "; "}, "a; b; and 1 more", id="separator"
        ),
    ],
)
def test_a_few_of_many(names, options, text):
    assert some(names, **options) == text


def test_a_number_and_its_noun():
    assert [plural(number, "tensor") for number in (0, 1, 2)] == [
        "0 tensors",
        "1 tensor",
        "2 tensors",
    ]


def test_a_long_text_is_cut():
    assert [shorten(text, 3) for text in ("abc", "abcd")] == ["abc", "ab…"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        pytest.param(ValueError("one\ntwo"), "one", id="first"),
        pytest.param(ValueError("\n  one  \ntwo"), "one", id="blank-lines"),
        pytest.param(TypeError("f() takes no arguments"), "f() takes no arguments", id="words"),
        pytest.param(EOFError(), "EOFError", id="no-message"),
        pytest.param(KeyError("width"), "KeyError: 'width'", id="key"),
        pytest.param(SystemExit(3), "SystemExit: 3", id="exit-code"),
        pytest.param(
            ValueError("Field 'a':\n  TypeError: no int"),
            "Field 'a': TypeError: no int",
            id="field",
        ),
        pytest.param(ValueError("Field 'a':"), "Field 'a':", id="field-alone"),
    ],
)
def test_the_first_line_of_an_error(error, line):
    assert first_line(error) == line


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("layers.0.mlp.weight", "layers.*.mlp.weight"),
        ("h.11.experts.3", "h.*.experts.*"),
        ("conv1.weight", "conv1.weight"),
        ("0.weight", "0.weight"),
    ],
)
def test_numbers_of_layers_become_stars(name, pattern):
    assert layer_pattern(name) == pattern
