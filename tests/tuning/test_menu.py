"""The bytes of every choice are those that the planner plans, whatever is tied or kept."""

from __future__ import annotations

import random

import pytest

from quantcli.api.request import make_request, open_model, plan_request, read_model
from quantcli.errors import UsageError
from quantcli.recipe import Recipe
from quantcli.tuning.candidates import KEEP, Candidate, parse_candidates
from quantcli.tuning.folding import fold
from quantcli.tuning.menu import make_menu

CANDIDATES = parse_candidates("int8,int4,int4:32,int2")


def menu_of(folder, candidates=CANDIDATES):
    request = make_request(folder)
    source = read_model(request, open_model(request))
    return make_menu(source, candidates, {})


@pytest.mark.parametrize(
    "kind", ["bert-masked", "llama-tied", "llama-untied", "t5-tied", "mixtral"]
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_recipe_of_any_choice_plans_to_its_bytes(tiny_model, kind, dtype):
    folder = tiny_model(kind, dtype)
    menu = menu_of(folder)
    draw = random.Random(0)
    for _ in range(4):
        chosen = {m.name: draw.choice(m.options).candidate for m in menu.modules}
        recipe = Recipe.parse(fold(chosen, menu.embeddings).to_dict())
        plan, _ = plan_request(make_request(folder, recipe=recipe, allow_unquantized=True))
        assert plan.nbytes == menu.nbytes(chosen)
        quantized = {t.module: (t.weight_format.name, t.group_size) for t in plan.quantized}
        expected = {
            m.name: (t.weight_format.name, t.group_size)
            for m in menu.modules
            for t in m.option(chosen[m.name]).tensors
        }
        assert quantized == expected


def test_a_table_that_is_the_head_too_is_one_module(tiny_model):
    names = [module.name for module in menu_of(tiny_model("llama-tied")).modules]
    assert "model.embed_tokens" in names
    assert "lm_head" not in names


def test_options_that_lead_to_the_same_are_one(tiny_model):
    # rows of 160 columns have groups of 32 anyway
    menu = menu_of(tiny_model("llama-untied"))
    q_proj = next(m for m in menu.modules if m.name.endswith("q_proj"))
    candidates = [option.candidate for option in q_proj.options]
    assert candidates == [KEEP, *map(Candidate, ("int8", "int4", "int2"))]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        pytest.param("int5", "int8", id="misspelt"),
        pytest.param("float16", "int8", id="cast"),
        pytest.param("int8:64", "write", id="no groups"),
        pytest.param("int4:7", "write", id="odd group"),
        pytest.param("int4:x", "write", id="no number"),
        pytest.param(",", "write", id="none"),
    ],
)
def test_wrong_candidates(text, word):
    with pytest.raises(UsageError, match="--candidates") as raised:
        parse_candidates(text)
    assert word in raised.value.hint


def test_a_group_size_that_divides_no_row(tiny_model):
    with pytest.raises(UsageError, match="--candidates: int4:1000 divides no row"):
        menu_of(tiny_model("bert"), parse_candidates("int4:1000"))
