"""Folded rules choose for every module what was chosen, however the names nest."""

from __future__ import annotations

import random
from fnmatch import fnmatch

import pytest

from quantcli.recipe import Recipe
from quantcli.tuning.candidates import KEEP, Candidate
from quantcli.tuning.folding import candidate_of, fold
from quantcli.tuning.globs import number_globs

INT8, INT4, SMALL = Candidate("int8"), Candidate("int4"), Candidate("int4", 64)
PARTS = ("self_attn.q_proj", "self_attn.k_proj", "mlp.up_proj", "mlp.down_proj")
LAYERS = [f"model.layers.{i}.{part}" for i in range(30) for part in PARTS]
NESTING = [
    "encoder.block.0",
    "encoder.block.0.layer.0.q",
    "encoder.block.1.layer.0.q",
    "encoder.block.10.layer.1.q",
    "layers.0",
    "layers.0.x",
    "layers",
    "w[0].*",
    "w",
    "lm_head",
]
TABLES = {"model.embed_tokens", "layers.0"}


def chosen_by(folded, names):
    recipe = Recipe.parse(folded.to_dict())
    return {name: candidate_of(recipe.choose(name, is_embedding=name in TABLES)) for name in names}


@pytest.mark.parametrize("seed", range(20))
def test_folding_changes_nothing(seed):
    draw = random.Random(seed)
    names = [*draw.sample(LAYERS, draw.randint(0, 80)), "model.embed_tokens", *NESTING]
    chosen = {name: draw.choice([INT8, INT4, SMALL, KEEP]) for name in names}
    assert chosen_by(fold(chosen, TABLES), names) == chosen


def test_modules_that_agree_share_a_rule():
    chosen = {name: INT8 if name.endswith("down_proj") else INT4 for name in LAYERS}
    folded = fold(chosen, TABLES)
    assert (folded.weights, folded.embeddings) == ("int4", "keep")
    assert [rule.to_dict() for rule in folded.rules] == [
        {"match": "*.mlp.down_proj", "weights": "int8"}
    ]


def test_layers_that_differ_are_a_range():
    first = {f"model.layers.{i}.mlp.up_proj" for i in (0, 1, 2, 29)}
    chosen = {name: INT8 if name in first else INT4 for name in LAYERS}
    assert {rule.match for rule in fold(chosen, TABLES).rules} == {
        "model.layers.[0-2].mlp.up_proj",
        "model.layers.29.mlp.up_proj",
    }


def test_a_group_size_stays_with_its_rule():
    chosen = {**dict.fromkeys(LAYERS, SMALL), "lm_head": INT4}
    assert chosen_by(fold(chosen, TABLES), chosen) == chosen


@pytest.mark.parametrize("seed", range(10))
def test_globs_of_numbers(seed):
    draw = random.Random(seed)
    every = [str(number) for number in range(130)]
    wanted = draw.sample(every, draw.randint(1, 100))
    globs = number_globs(wanted)
    assert {n for n in every if any(fnmatch(n, glob) for glob in globs)} == set(wanted)


def test_runs_of_numbers_are_one_glob():
    assert number_globs(map(str, range(30))) == ["[0-9]", "[12][0-9]"]
