"""Recipes: what they say, what they choose, and what is said of a wrong one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
from messages import Facts, assert_silent, refuses

from quantcli.comparison.gates import NAMED
from quantcli.comparison.tasks import TASKS
from quantcli.errors import UsageError
from quantcli.recipe import (
    CalibrationSamples,
    Choice,
    Compare,
    Gates,
    Recipe,
    Rule,
    load_recipe,
    shipped,
)

DTYPES = ("int8", "int4", "int2", "float8", "float8_e5m2")
ALL_DTYPES = (*DTYPES, "float16", "bfloat16")
KEYS = (
    "model, weights, embeddings, rest, optimizer, activations, kernels, runtime_activations, "
    "group_size, include, exclude, rules"
)
ALL_KEYS = (*KEYS.split(", "), "calibration", "compare", "gates")
SPELLING = ("kl_mean<=0.02", "<=,", ">=,", "<,", ">,", "==")


WRONG_TABLES = [
    ("compare", 'text = "a"', ("text", "list", "text"), None),
    ("compare", 'text = [""]', ("text[0]", "empty"), None),
    ("compare", "image = [1]", ("image[0]", "text", "whole number"), None),
    ("compare", 'data = ["a"]', ("data", "text", "list"), None),
    ("compare", 'task = "causal"', ("task", "task", "causal"), "causal-lm"),
    ("compare", "samples = 0", ("samples", "1", "0"), None),
    ("compare", "samples = true", ("samples", "whole number", "true or false"), None),
    ("compare", "max_tokens = -1", ("max_tokens", "1", "-1"), None),
    ("compare", "seed = -1", ("seed", "0", "4294967295", "-1"), None),
    (
        "compare",
        "seed = 4294967296",
        ("seed", "0", "4294967295", "4294967296"),
        None,
    ),
    ("calibration", "samples = 0", ("samples", "1", "0"), None),
    ("calibration", 'self_generated = "x"', ("self_generated", "true or false", "text"), None),
    ("gates", "min_cosine = 7", ("min_cosine", "cosine_*", "7", "range"), ("-1", "1")),
    ("gates", "min_cosine = true", ("min_cosine", "number", "true or false"), None),
    ("gates", 'min_cosine = "1"', ("min_cosine", "number", "text"), None),
    ("gates", "max_kl = nan", ("max_kl", "kl_mean", "nan", "finite"), "0"),
    ("gates", "max_kl = inf", ("max_kl", "kl_mean", "inf", "finite"), "0"),
    ("gates", "max_kl = -1", ("max_kl", "kl_mean", "-1", "range"), "0"),
    (
        "gates",
        "min_top1 = 99",
        ("min_top1", "top1_agreement", "99", "range"),
        ("0", "1"),
    ),
    (
        "gates",
        "min_coverage = 2",
        ("min_coverage", "coverage", "2", "range"),
        ("0", "1"),
    ),
    ("gates", 'strict = "yes"', ("strict", "true or false", "text"), None),
    ("gates", 'gate = "a<=1"', ("gate", "list", "text"), None),
    ("gates", 'gate = ["a=1"]', ("gate[0]", "a=1"), SPELLING),
    ("gates", 'gate = ["a<=1", "a<1b"]', ("gate[1]", "a<1b", "1b", "number"), SPELLING),
]
"""Table, line, the key and the facts of what is wrong with it, and those of the way out."""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "r.toml"
    path.write_text(text)
    return path


@contextmanager
def wrong(facts: Facts, hint: Facts | None) -> Iterator[None]:
    """Expect one line that holds the facts, and a hint that holds its own, or None for no hint.

    A hint that is one fact is one name: no other dtype or key is in it.
    """
    with refuses(UsageError, facts, hint=hint or ()) as raised:
        yield
    assert raised.value.exit_code == 2
    assert "\n" not in raised.value.message
    assert (raised.value.hint is None) == (hint is None)
    if isinstance(hint, str):
        assert_silent(raised.value.hint, *{*ALL_KEYS, *ALL_DTYPES} - {hint})


@pytest.mark.parametrize(
    ("text", "facts", "hint"),
    [
        pytest.param('weigths = "int8"', ("key", "weigths"), "weights", id="misspelt-key"),
        pytest.param("zzz = 1", ("key", "zzz"), ALL_KEYS, id="unknown-key"),
        pytest.param(
            'weigths = "int8"\nrest = 3',
            ("key", "weigths"),
            "weights",
            id="keys-before-values",
        ),
        pytest.param(
            '[[rules]]\nmatch = "*"\nweight = "int4"',
            ("key", "rules[0].weight"),
            "weights",
            id="misspelt-key-of-a-rule",
        ),
        pytest.param(
            'weights = "int9"',
            ("weights", "dtype", "int9"),
            "int8",
            id="weights",
        ),
        pytest.param(
            'weights = "zzz"',
            ("weights", "dtype", "zzz"),
            ALL_DTYPES,
            id="weights-unlike-any",
        ),
        pytest.param(
            'weights = "{}"',
            ("weights", "dtype", "{}"),
            ALL_DTYPES,
            id="braces",
        ),
        pytest.param("weights = 3", ("weights", "text", "whole number"), None, id="int"),
        pytest.param(
            "weights = 8.5",
            ("weights", "text", "fraction"),
            None,
            id="float",
        ),
        pytest.param("weights = true", ("weights", "text", "true or false"), None, id="bool"),
        pytest.param(
            "weights = 2026-01-01",
            ("weights", "text", "date"),
            None,
            id="date",
        ),
        pytest.param('weights = ["int8"]', ("weights", "text", "list"), None, id="list"),
        pytest.param("[weights]", ("weights", "text", "table"), None, id="table"),
        pytest.param('model = ""', ("model", "empty"), None, id="empty"),
        pytest.param(
            'embeddings = "float16"',
            ("embeddings", "float16"),
            ("--rest", "float16"),
            id="embeddings-cast",
        ),
        pytest.param(
            'weights = "bfloat16"\nembeddings = "int8"',
            ("embeddings", "bfloat16"),
            ("leave it out", "int8"),
            id="embeddings-and-a-cast",
        ),
        pytest.param(
            'embeddings = "none"',
            ("embeddings", "dtype", "none"),
            ("int8", "keep"),
            id="embeddings",
        ),
        pytest.param('rest = "kep"', ("rest", "dtype", "kep"), "keep", id="rest"),
        pytest.param(
            'rest = "int8"',
            ("rest", "dtype", "int8"),
            ("keep", "float16", "bfloat16"),
            id="rest-quantized",
        ),
        pytest.param(
            'optimizer = "hq"',
            ("optimizer", "optimizer", "hq"),
            "hqq",
            id="optimizer",
        ),
        pytest.param(
            'optimizer = "hqq"',
            ("optimizer", "hqq", "int4", "int2"),
            ("max", "int8"),
            id="hqq-of-int8",
        ),
        pytest.param(
            'weights = "float8"\noptimizer = "hqq"',
            ("optimizer", "hqq", "int4", "int2"),
            ("max", "float8"),
            id="hqq-of-float8",
        ),
        pytest.param(
            "group_size = 64",
            ("group_size", "int4", "int2"),
            ("int8", "group_size"),
            id="group-size-of-int8",
        ),
        *(
            pytest.param(
                f'weights = "int4"\ngroup_size = {size}',
                ("group_size", str(size), "8"),
                ("128", "96", "64", "32"),
                id=f"group-size-{size}",
            )
            for size in (-8, 0, 4, 100)
        ),
        pytest.param(
            'weights = "int4"\ngroup_size = "64"',
            ("group_size", "whole number", "text"),
            None,
            id="group-size-text",
        ),
        pytest.param(
            'weights = "int4"\ngroup_size = true',
            ("group_size", "whole number", "true or false"),
            None,
            id="group-size-bool",
        ),
        pytest.param('include = "*"', ("include", "list", "text"), None, id="include"),
        pytest.param(
            'exclude = ["*", 1]',
            ("exclude[1]", "text", "whole number"),
            None,
            id="exclude",
        ),
        pytest.param('include = [""]', ("include[0]", "empty"), None, id="empty-glob"),
        pytest.param(
            '[rules]\nmatch = "*"',
            ("rules", "list", "table"),
            ("[[rules]]",),
            id="one-bracket",
        ),
        pytest.param('rules = ["*"]', ("rules[0]", "table", "text"), None, id="rule"),
        pytest.param(
            '[[rules]]\nweights = "int4"', ("rules[0].match", "missing"), None, id="no-match"
        ),
        pytest.param(
            '[[rules]]\nmatch = "*"',
            ("rules[0]", "effect"),
            ("weights", "group_size"),
            id="empty-rule",
        ),
        pytest.param(
            '[[rules]]\nmatch = "*"\nweights = "kept"',
            ("rules[0].weights", "dtype", "kept"),
            "keep",
            id="rule-weights",
        ),
        pytest.param(
            '[[rules]]\nmatch = "*"\nweights = "float16"',
            ("rules[0].weights", "float16", "rule"),
            (*DTYPES, "keep"),
            id="rule-downcast",
        ),
        pytest.param(
            'weights = "int4"\n[[rules]]\nmatch = "*"\nweights = "int8"\ngroup_size = 64',
            ("rules[0].group_size", "int4", "int2"),
            ("int8",),
            id="rule-group-size",
        ),
        pytest.param(
            '[[rules]]\nmatch = "*"\ngroup_size = 64',
            ("rules[0].group_size", "int4", "int2"),
            ("int8",),
            id="rule-group-size-of-int8",
        ),
        *(
            pytest.param(
                f'weights = "float16"\n{line}',
                (key, "float16"),
                DTYPES,
                id=f"downcast-{key}",
            )
            for key, line in {
                "rules": '[[rules]]\nmatch = "*"\nweights = "int8"',
                "include": 'include = ["*"]',
                "exclude": 'exclude = ["*"]',
                "group_size": "group_size = 64",
            }.items()
        ),
        pytest.param(
            'weights = "bfloat16"\noptimizer = "hqq"',
            ("optimizer", "hqq", "int4", "int2"),
            ("max", "bfloat16"),
            id="downcast-hqq",
        ),
        pytest.param(
            'weights = "float16"\nrest = "bfloat16"',
            ("rest", "bfloat16", "float16"),
            ("float16", "rest"),
            id="downcast-rest",
        ),
        *(
            pytest.param(
                f"[{table}]\n{line}", (f"{table}.{key}", *facts), hint, id=f"{table}-{line}"
            )
            for table, line, (key, *facts), hint in WRONG_TABLES
        ),
        pytest.param('[compare]\ntxt = ["a"]', ("key", "compare.txt"), "text", id="txt"),
        pytest.param(
            "[gates]\nmin_cosin = 1",
            ("key", "gates.min_cosin"),
            "min_cosine",
            id="min-cosin",
        ),
        pytest.param("compare = 1", ("compare", "table", "whole number"), None, id="c"),
        pytest.param("gates = []", ("gates", "table", "list"), None, id="gates-list"),
    ],
)
def test_a_wrong_recipe_is_refused(text, facts, hint, tmp_path):
    path = written(tmp_path, text)
    with wrong((str(path), *facts), hint):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        pytest.param(
            b'model = "m"\nweights = int8\n', ("TOML", "line 2", "column 11"), id="syntax"
        ),
        pytest.param(b'rest = "keep"\nrest = "keep"', ("TOML", "line 2"), id="twice"),
        pytest.param(b"\xff\xfe", ("UTF-8",), id="binary"),
    ],
)
def test_a_file_that_is_not_toml(content, facts, tmp_path):
    path = tmp_path / "r.toml"
    path.write_bytes(content)
    with wrong((str(path), *facts), None):
        load_recipe(str(path))


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "flan-t5-smal.toml"
    with wrong(str(path), "flan-t5-small"):
        load_recipe(str(path))


def test_a_folder_is_not_a_recipe(tmp_path):
    with wrong((str(tmp_path), "Is a directory"), None):
        load_recipe(str(tmp_path))


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = written(tmp_path, "")
    # Root may read everything, so the refusal is played.
    denied = PermissionError(13, "Permission denied")
    monkeypatch.setattr(Path, "read_text", Mock(side_effect=denied))
    with wrong((str(path), "Permission denied"), None):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("flan-t5", "flan-t5-small", id="close"),
        pytest.param("x", ("clip-vit-large-patch14", "flan-t5-small", "template"), id="unlike-any"),
    ],
)
def test_a_name_that_is_not_shipped(name, hint):
    with wrong(("recipe", name), hint):
        load_recipe(name)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("clip-vit-large-patch14", "openai/clip-vit-large-patch14"),
        ("flan-t5-small", "google/flan-t5-small"),
        ("template", None),
    ],
)
def test_shipped_recipes_load_by_name(name, model):
    assert load_recipe(name).to_dict() == Recipe(model=model, weights="int8").to_dict()


def test_the_shipped_recipes_are_the_files_of_configs():
    folder = Path(__file__).parents[2] / "configs"
    assert shipped() == {path.stem: path for path in sorted(folder.glob("*.toml"))}


def test_the_published_experiments():
    clip, t5 = load_recipe("clip-vit-large-patch14"), load_recipe("flan-t5-small")
    image = shipped()["clip-vit-large-patch14"].parent / "cat-on-the-beach.png"
    assert clip.compare == Compare(text=("a cat sitting on the beach",), image=(str(image),))
    assert clip.gates == Gates(
        max_size_ratio=0.32, gate=("cosine_text >= 0.9999", "cosine_image >= 0.9998")
    )
    assert t5.compare == Compare(text=("Hello, my name is",))
    assert t5.gates == Gates(min_generation_match=1.0, max_size_ratio=0.42)


def test_the_template_shows_every_key_with_its_default():
    text = shipped()["template"].read_text()
    shown = set(re.findall(r"^(?:# )?\[{0,2}(\w+)(?:\]{1,2}| =)", text, flags=re.MULTILINE))
    tables = (Recipe, Rule, CalibrationSamples, Compare, Gates)
    assert shown == {key for table in tables for key in table.model_fields}
    assert load_recipe("template") == Recipe()


def test_the_commented_lines_of_the_template_are_valid(tmp_path):
    text = shipped()["template"].read_text().replace('weights = "int8"', 'weights = "int4"', 1)
    lines = re.sub(r"^# (?=\[\[rules\]\]$|\w+ = )", "", text, flags=re.MULTILINE)
    recipe = load_recipe(str(written(tmp_path, lines)))
    assert recipe.model == "org/name"
    assert recipe.group_size == 64
    assert recipe.rules == (
        Rule(match="*.layers.0.*", weights="keep"),
        Rule(match="*.mlp.*", weights="int4", group_size=64),
    )
    assert None not in recipe.compare.model_dump().values()
    assert recipe.compare.data == str(tmp_path / "samples.jsonl")
    assert None not in recipe.gates.model_dump().values()


def test_paths_are_taken_from_the_folder_of_the_recipe(tmp_path):
    lines = 'image = ["a.png", "/b/c.png"]\naudio = ["d/e.wav"]\ndata = "f.jsonl"\nseed = 0\n'
    compare = load_recipe(str(written(tmp_path, f"[compare]\n{lines}"))).compare
    assert compare.image == (str(tmp_path / "a.png"), "/b/c.png")
    assert compare.audio == (str(tmp_path / "d/e.wav"),)
    assert (compare.data, compare.seed) == (str(tmp_path / "f.jsonl"), 0)


def test_what_a_model_is_held_to_does_not_decide_what_it_becomes():
    held = {"compare": {"text": ["a"]}, "gates": {"max_kl": 1, "gate": ["coverage == 1"]}}
    assert Recipe.parse(held).to_dict() == Recipe().to_dict()
    assert Recipe.parse(held).override(weights="int4").gates == Recipe.parse(held).gates
    assert hash(Recipe.parse(held)) == hash(Recipe.parse(held))


def test_the_template_names_every_task():
    told = " ".join(shipped()["template"].read_text().replace("#", " ").split())
    assert not [task for task in TASKS if f" {task}" not in told]


def test_every_named_gate_is_a_key():
    assert set(Gates.model_fields) == {*NAMED, "gate", "strict"}


MIXED = Recipe.parse(
    {
        "weights": "int8",
        "group_size": 128,
        "include": ["model.*", "head"],
        "exclude": ["*.router"],
        "rules": [
            {"match": "*.0.*", "weights": "keep"},
            {"match": "*.up", "weights": "int4", "group_size": 64},
            {"match": "*.mlp.*", "weights": "int2"},
            {"match": "*.attn", "weights": "float8"},
        ],
    }
)


@pytest.mark.parametrize(
    ("module", "choice"),
    [
        pytest.param(
            "head", Choice(weights="int8", group_size=None, reason="as the recipe says"), id="none"
        ),
        pytest.param(
            "pooler", Choice(weights=None, group_size=None, reason="not included"), id="include"
        ),
        pytest.param(
            "model.1.router",
            Choice(weights=None, group_size=None, reason="excluded by *.router"),
            id="exclude",
        ),
        pytest.param(
            "model.0.mlp.up",
            Choice(weights=None, group_size=None, reason="kept by rule *.0.*"),
            id="first-match-keeps",
        ),
        pytest.param(
            "model.1.mlp.up",
            Choice(weights="int4", group_size=64, reason="by rule *.up"),
            id="first-match",
        ),
        pytest.param(
            "model.1.mlp.down",
            Choice(weights="int2", group_size=128, reason="by rule *.mlp.*"),
            id="group-size-of-the-recipe",
        ),
        pytest.param(
            "model.1.attn",
            Choice(weights="float8", group_size=None, reason="by rule *.attn"),
            id="no-groups-in-8-bit",
        ),
    ],
)
def test_choose(module, choice):
    assert MIXED.choose(module) == choice


def test_a_rule_for_the_group_size_alone_leaves_the_weights():
    values = {"weights": "int4", "rules": [{"match": "a", "group_size": 32}]}
    recipe = Recipe.parse(values)
    assert recipe.choose("a").weights == recipe.choose("b").weights == "int4"
    assert recipe.choose("a").group_size == 32
    assert recipe.choose("b").group_size is None


def test_a_rule_may_be_the_one_that_makes_hqq_right():
    values = {"optimizer": "hqq", "rules": [{"match": "a", "weights": "int4"}]}
    assert Recipe.parse(values).optimizer == "hqq"


def test_unmatched_globs_are_told_with_their_keys():
    modules = ["model.0.attn", "model.0.up", "head"]
    assert MIXED.unmatched(modules) == ("exclude *.router", "rule *.mlp.*")
    assert MIXED.unmatched([])[:2] == ("include model.*", "include head")
    assert Recipe().unmatched([]) == ()


def test_override_puts_options_on_top():
    recipe = Recipe.parse({"model": "org/name", "weights": "int4", "group_size": 64})
    changed = recipe.override(weights="int2", group_size=None, include=["a"], rest="float16")
    assert changed == Recipe(
        model="org/name", weights="int2", group_size=64, include=("a",), rest="float16"
    )
    assert recipe.weights == "int4"


def test_override_validates_anew():
    with wrong(("group_size", "int4", "int2"), ("int8", "group_size")):
        Recipe(weights="int4", group_size=64).override(weights="int8")
    with wrong(("key", "weigths"), "weights"):
        Recipe().override(weigths="int8")


@pytest.mark.parametrize(("weights", "downcast"), [("int8", False), ("bfloat16", True)])
def test_downcast(weights, downcast):
    recipe = Recipe.parse({"weights": weights, "rest": "bfloat16"})
    assert recipe.downcast is downcast
    assert recipe.choose("any").weights == weights


def test_json_types_come_back():
    assert json.dumps(Recipe().to_dict(), sort_keys=True) == (
        '{"activations": "none", "embeddings": "keep", "exclude": [], "group_size": null, '
        '"include": [], "kernels": "auto", "model": null, "optimizer": "max", "rest": "keep", '
        '"rules": [], "runtime_activations": "none", "weights": "int8"}'
    )


def test_samples_are_part_of_it_where_they_decide_scales():
    samples = {"calibration": {"samples": 3}}
    assert "calibration" not in Recipe.parse(samples).to_dict()
    decided = Recipe.parse({"activations": "fp8"} | samples).to_dict()
    assert (decided["activations"], decided["calibration"]["samples"]) == ("float8", 3)


def test_samples_of_a_recipe_are_beside_it(tmp_path):
    recipe = load_recipe(str(written(tmp_path, '[calibration]\ndata = "own.jsonl"\n')))
    assert recipe.calibration.data == str(tmp_path / "own.jsonl")
    assert Recipe.parse(MIXED.to_dict()) == MIXED
    assert list(MIXED.to_dict()) == KEYS.split(", ")


def test_recipes_are_frozen_and_hashable():
    with pytest.raises(ValueError, match="frozen"):
        MIXED.weights = "int4"
    assert hash(Recipe.parse(MIXED.to_dict())) == hash(MIXED)


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        ('"INT8"', "int8"),
        ('"qint8"', "int8"),
        ('"8-bit"', "int8"),
        ("8", "int8"),
        ("4", "int4"),
        ('"qfloat8_e4m3fn"', "float8"),
        ('"fp8"', "float8"),
        ('"E4M3"', "float8"),
        ('"e5m2"', "float8_e5m2"),
        ('"fp16"', "float16"),
        ('"half"', "float16"),
        ('"torch.bfloat16"', "bfloat16"),
    ],
)
def test_dtypes_have_many_spellings_and_one_name(tmp_path, spelt, name):
    assert recipe_of(tmp_path, f"weights = {spelt}").weights == name


def test_spellings_in_rules_and_rest(tmp_path):
    text = 'weights = "INT4"\nrest = "bf16"\n[[rules]]\nmatch = "*"\nweights = "qint8"'
    recipe = recipe_of(tmp_path, text)
    assert (recipe.weights, recipe.rest, recipe.rules[0].weights) == ("int4", "bfloat16", "int8")
    assert "qint8" not in str(recipe.to_dict())


def test_dtypes_of_torch_and_quanto():
    import torch
    from optimum.quanto import qfloat8, qint4

    found = [Recipe.parse({"weights": w}).weights for w in (torch.float16, qint4, qfloat8, 8)]
    assert found == ["float16", "int4", "float8", "int8"]
    assert Recipe.parse({"weights": "int4"}).override(weights=8).weights == "int8"


def recipe_of(folder, text):
    (folder / "mine.toml").write_text(text)
    return load_recipe(str(folder / "mine.toml"))
