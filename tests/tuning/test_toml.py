"""What is written is TOML, and reads back as it was."""

from __future__ import annotations

import tomllib

from quantcli.recipe import Recipe
from quantcli.tuning.toml import WIDTH, write_toml

RECIPE = {
    "model": 'C:\\mödels\\"x"\t\x7f',
    "weights": "int4",
    "embeddings": "int8",
    "optimizer": "gptq",
    "rules": [{"match": "a.[0-3].*", "weights": "int4", "group_size": 64}],
    "compare": {"samples": 3, "text": ["one", "two\nlines"], "generate": False},
    "gates": {"gate": ["kl_mean<=0.05"], "max_size_ratio": 0.3},
}


def test_it_reads_back():
    text = write_toml(RECIPE, ["a comment"])
    assert tomllib.loads(text) == RECIPE
    Recipe.parse(tomllib.loads(text))


def test_comments_are_wrapped_and_cannot_escape():
    text = write_toml({"weights": "int8"}, ["word " * 60, "two\nlines = 1"])
    assert tomllib.loads(text) == {"weights": "int8"}
    assert max(map(len, text.splitlines())) <= WIDTH + 2


def test_what_is_empty_is_left_out():
    text = write_toml({"weights": "int8", "rules": [], "compare": {}, "gates": {"gate": []}}, [])
    assert tomllib.loads(text) == {"weights": "int8"}
