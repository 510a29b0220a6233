"""`quantcli.compare` in Python."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from messages import refuses

import quantcli
from quantcli.comparison.gates import save_baseline
from quantcli.comparison.reports import to_json
from quantcli.recipe import Recipe
from quantcli.recipe.tables import Compare, GateOptions

FEW = {"samples": 3, "max_tokens": 4}


@pytest.fixture
def pair(tiny_model, freeze):
    folder = tiny_model("bert")
    return folder, freeze(folder, "int8")


def test_a_gate_that_fails_raises_nothing(pair):
    gates = {"min_cosine": 0.9, "max_size_ratio": 0.1, "gate": ["cosine_text_min >= 0.5"]}
    report = quantcli.compare(*pair, samples=FEW, gates=gates)
    verdicts = {verdict.metric: verdict.status for verdict in report.judgement.verdicts}
    assert verdicts == {
        "cosine_text": "passed",
        "size_ratio": "failed",
        "cosine_text_min": "passed",
    }
    assert not report.passed
    assert quantcli.compare(*pair, samples=FEW).passed


def test_baselines_and_regressions(pair, tmp_path):
    path = tmp_path / "baseline.json"
    save_baseline(path, quantcli.compare(*pair, samples=FEW).comparison)
    assert path.stat().st_size < 8000
    gates = {"baseline": path, "max_regression": ["cosine_text=1%", "size_ratio=0"]}
    assert quantcli.compare(*pair, samples=FEW, gates=gates).passed
    with pytest.raises(quantcli.UsageError, match="was made with different samples"):
        quantcli.compare(*pair, samples={**FEW, "seed": 3}, gates=gates)


def test_a_recipe_and_what_comes_on_top(pair):
    recipe = Recipe.parse(
        {"compare": {"samples": 2, "seed": 4}, "gates": {"min_cosine": 1.0, "max_size_ratio": 0.9}}
    )
    report = quantcli.compare(*pair, recipe=recipe, gates={"min_cosine": 0.5})
    assert (report.comparison.samples, report.comparison.seed) == (2, 4)
    limits = {verdict.metric: verdict.limit for verdict in report.judgement.verdicts}
    assert limits == {"cosine_text": 0.5, "size_ratio": 0.9}


def test_what_is_not_finite_is_null_in_json(pair):
    folder, _ = pair
    report = quantcli.compare(folder, folder, samples={**FEW, "task": "outputs"})
    assert report.comparison.metrics["sqnr_pooler_output"].value == math.inf
    found = json.loads(json.dumps(to_json(report), allow_nan=False))
    assert found["metrics"]["sqnr_pooler_output"] is None
    assert found["metrics"]["cosine_pooler_output"] == 1.0


def test_an_output_that_does_not_exist(pair):
    with pytest.raises(quantcli.UsageError, match="cosine_nothing"):
        quantcli.compare(
            *pair, samples={**FEW, "task": "outputs"}, gates={"gate": ["cosine_nothing>=0.5"]}
        )


@pytest.mark.parametrize(
    ("arguments", "facts", "hint"),
    [
        pytest.param(
            {"gates": {"max_kll": 1.0}},
            ("gates", "max_kll"),
            "max_kl",
            id="unknown gate",
        ),
        pytest.param(
            {"samples": {"txt": ["a"]}},
            ("samples", "txt"),
            "text",
            id="unknown key",
        ),
        pytest.param(
            {"samples": {"text": "Hello"}},
            ("samples", "text", "a list"),
            (),
            id="text without a list",
        ),
        pytest.param({"samples": {"task": "nope"}}, ("samples", "task", "nope"), (), id="task"),
        pytest.param(
            {"samples": {"max_tokens": -5}},
            ("samples", "max_tokens", "1 or more", "-5"),
            (),
            id="negative",
        ),
        pytest.param(
            {"gates": {"min_top1": "high"}},
            ("gates", "min_top1", "a number"),
            (),
            id="no number",
        ),
        pytest.param(
            {"gates": {"gate": "kl_mean<=1"}},
            ("gates", "gate", "a list"),
            (),
            id="gate without a list",
        ),
        pytest.param({"gates": ["kl_mean<=1"]}, ("gates", "a dict"), (), id="list"),
    ],
)
def test_samples_and_gates_are_checked_as_in_a_recipe(arguments, facts, hint):
    with refuses(quantcli.UsageError, facts, hint=hint):
        quantcli.compare("no/model", "no/other", **arguments)


def test_paths_may_be_path_objects():
    values = {"data": Path("a.jsonl"), "image": [Path("b.png"), "c.png"], "task": None}
    assert Compare.check(values, origin="samples").given == {
        "data": "a.jsonl",
        "image": ("b.png", "c.png"),
    }


def test_file_names_may_hold_any_bytes():
    name = os.fsdecode(b"\xff.png")
    assert Compare.check({"image": [name]}, origin="samples").image == (name,)


def test_an_invalid_option_is_called_by_its_name():
    with pytest.raises(quantcli.UsageError, match=r"^--max-regression: invalid tolerance: x$"):
        GateOptions.check({"max_regression": ["kl_mean=1%", "x"]}, origin=None)
