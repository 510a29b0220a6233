"""The zoo: a few types of it whole, its rules, its processes, and the bars that its page meets."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import pytest
import transformers

from zoo import totals
from zoo.heads import FAMILIES, heads, run_heads
from zoo.kept import Reasons
from zoo.outcome import Failure, in_words, step
from zoo.page import render
from zoo.planned import PLAIN, plan_type
from zoo.pool import Job, run_jobs
from zoo.ran import ENOUGH, run_type
from zoo.results import Store
from zoo.shrink import shrink

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"

MISSED: set[str] = set()
"""Bars that the page does not meet yet."""

TYPES = (
    *("bert", "gpt2", "t5", "mixtral", "gemma3", "qwen2_5_vl", "mamba2", "deepseek_v3"),
    *("clip", "swin", "resnet", "wav2vec2", "whisper"),
)

# models warn of their own code, which is not what is tested
pytestmark = pytest.mark.filterwarnings("default")

PLANNED = {
    "class": "TinyModel",
    "parameters": 3_000_000,
    "before": 12_000_000,
    "after": {PLAIN: 4_500_000},
    "coverage": {PLAIN: 0.98999},
    "kept": {
        PLAIN: [
            {
                "kind": "Embedding",
                "parameter": "weight",
                "reason": "Embedding is of no kind that can be quantized",
                "bytes": 1_200_000,
                "count": 2,
                "shape": [300, 500],
            }
        ]
    },
}
RAN = {"shrunk": "all", "output": "logits", "cosine": 0.98999, "differs": ["logits"]}
RAN |= {"worst": ["logits", 0.98999], "noise": 0.97, "with_embeddings": 0.98}
HEADS = {
    "bert": {
        "rows": [
            {"class": "AHead", "failed": "forward", "reason": "no eyes"},
            {
                "class": "BHead",
                "cells": [{"cosine": 0.98999, "ratio": 0.25, "differs": ["logits"]}] * 4,
            },
        ]
    },
    "gpt2": {"failed": "process", "reason": "too slow"},
}


@pytest.mark.parametrize("model_type", TYPES)
def test_a_plan_is_made_at_the_default_size_and_never_grows(model_type):
    found = plan_type(model_type)
    assert found["parameters"] > 1e6
    assert 0 <= found["coverage"][PLAIN] <= 1
    assert all(after <= found["before"] for after in found["after"].values())


@pytest.mark.parametrize("model_type", TYPES)
def test_a_small_model_is_near_the_original_and_equal_to_the_one_in_memory(model_type):
    found = run_type(model_type)
    assert found["cosine"] >= ENOUGH
    assert found["with_embeddings"] >= ENOUGH
    assert found["differs"] == []


@pytest.mark.parametrize("family", ["gpt2", "gemma3", "bart"])
def test_heads_are_near_the_original_and_equal_to_those_in_memory(family):
    found = [row for row in run_heads(family)["rows"] if "failed" not in row]
    assert found
    for row in found:
        int8, with_embeddings, int4, smallest = row["cells"]
        assert min(int8["cosine"], with_embeddings["cosine"]) >= ENOUGH, row["class"]
        assert int8["differs"] == int4["differs"] == [], row["class"]
        assert smallest["ratio"] < with_embeddings["ratio"] < int8["ratio"] < 1


def test_every_family_has_heads():
    assert len(FAMILIES) == len(set(FAMILIES)) == 20
    assert all(heads(family) for family in FAMILIES)


def test_a_small_config_has_one_layer_of_each_kind():
    config = transformers.Gemma3TextConfig()
    small = shrink(config)
    assert set(small.layer_types) == set(config.layer_types)
    assert small.num_hidden_layers == len(small.layer_types) == 2
    assert small.hidden_size < config.hidden_size
    assert small.num_attention_heads % small.num_key_value_heads == 0


def test_special_tokens_stay_apart_and_within_the_vocabulary():
    small = shrink(transformers.Qwen2VLConfig())
    tokens = [small.image_token_id, small.video_token_id, small.vision_start_token_id]
    assert len(set(tokens)) == 3
    assert max(tokens) < small.text_config.vocab_size


def test_a_reason_is_a_sentence_without_paths():
    error = OSError("cannot read /home/someone/lib/model.py. Try again")
    assert in_words(error) == "OSError: cannot read model.py"


def test_a_failure_knows_its_step():
    with pytest.raises(Failure) as raised, step("build"):
        raise ValueError("no layers")
    assert (raised.value.step, raised.value.reason) == ("build", "ValueError: no layers")


def hang(model_type):
    time.sleep(60)
    return {"answer": model_type}


def crash(model_type):
    return {"answer": model_type} if os.abort() else {}


def answer(model_type):
    return {"answer": model_type}


def test_a_process_that_hangs_or_crashes_costs_its_own_result_alone():
    jobs = [
        Job("run", name, act, seconds=limit, nbytes=8 * 2**30)
        for name, act, limit in (("a", hang, 1), ("b", crash, 60), ("c", answer, 60))
    ]
    found = {job.model_type: result for job, result in run_jobs(jobs, workers=2)}
    assert found["a"]["failed"] == found["b"]["failed"] == "process"
    assert "SIGABRT" in found["b"]["reason"]
    assert found["c"] == {"answer": "c"}


def test_results_hold_until_the_code_changes(tmp_path, monkeypatch):
    path = tmp_path / "results.jsonl"
    Store(path).add("plan", "bert", PLANNED)
    path.write_text(path.read_text() + '{"code": "cut o')
    assert Store(path).find("plan", "bert") == PLANNED
    monkeypatch.setattr("zoo.results.fingerprint", lambda: "another")
    assert Store(path).find("plan", "bert") is None


def test_totals_count_and_are_read_back():
    planned = {"a": PLANNED, "b": PLANNED | {"coverage": {PLAIN: 0.99}}}
    planned["c"] = {"failed": "build", "reason": "no"}
    found = {total.what: total for total in totals.totals(planned, {"a": RAN})}
    assert found[totals.BUILT].value == found[totals.PLANNED].value == 2
    assert found[totals.covered(0.99, PLAIN)].value == 1
    assert found[totals.RUN].value == 1
    assert found[totals.NEAR].value == found[totals.SAME].value == 0
    assert totals.read(totals.table([*found.values()])) == found


def test_the_page_does_not_depend_on_the_order_of_results():
    planned = {"a": PLANNED, "b": {"failed": "plan", "reason": "a | b"}}
    pages = {
        render(dict(sorted(order)), {"a": RAN}, HEADS)
        for order in itertools.permutations(planned.items())
    }
    (page,) = pages
    row = next(line for line in page.splitlines() if line.startswith("| a | 3.0 M"))
    assert "0.989" in row
    assert "0.9899 ≠" in row
    assert "10.0% Embedding (1)" in row
    assert "| b | plan | a / b |" in page
    assert "| bert | AHead: not run, no eyes |" in page
    assert page.count("0.9899 ≠ (0.250)") == 4
    assert "| gpt2 | not run: too slow |" in page


def test_reasons_are_numbered_without_the_names_of_modules():
    entry = PLANNED["kept"][PLAIN][0]
    other = entry | {"kind": "Conv1d", "reason": "Conv1d is of no kind that can be quantized"}
    reasons = Reasons([{"kept": {PLAIN: [entry, other]}}])
    assert reasons.listed() == "1. this class is of no kind that can be quantized"


def test_the_page_meets_its_bars():
    found = totals.read(PAGE.read_text(encoding="utf-8"))
    assert found[totals.RUN].value > 0
    assert {what for what, total in found.items() if not total.met} == MISSED
