"""The real language model for tests and benchmarks, and the texts for it."""

from __future__ import annotations

import json

import smollm2 as maker
import texts
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer


def test_it_is_a_plain_checkpoint_of_a_language_model(smollm2):
    config = json.loads((smollm2 / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    assert config["tie_word_embeddings"]
    assert "quantization_config" not in config
    with safe_open(smollm2 / "model.safetensors", "pt") as file:
        names = [*file.keys()]
        assert {file.get_slice(name).get_dtype() for name in names} == {"BF16"}
    assert "lm_head.weight" not in names
    model = AutoModelForCausalLM.from_pretrained(smollm2)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    with torch.inference_mode():
        tokens = AutoTokenizer.from_pretrained(smollm2)("Once upon a", return_tensors="pt")
        best = model(**tokens).logits[0, -1].argmax()
    assert AutoTokenizer.from_pretrained(smollm2).decode(best) == " time"


def test_it_is_made_once(smollm2):
    assert maker.model() == smollm2 == maker.cached()


def test_texts_to_calibrate_tune_and_claim_with_are_apart(smollm2):
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    sets = [texts.topics(), texts.looked_at(), texts.held_out()]
    found = [texts.passages(tokenizer, text, 64) for text in sets]
    assert [len(passages) for passages in found][::2] == [64, 64]
    assert len(found[1]) >= 32
    assert {part.shape for passages in found for part in passages} == {(1, texts.LENGTH)}
    assert not {*texts.LOOKED_AT} & {*texts.HELD_OUT}
    docstrings = [{part for part in text.split("\n\n") if len(part) > 80} for text in sets]
    for one, other in [(0, 1), (0, 2), (1, 2)]:
        assert len(docstrings[one] & docstrings[other]) <= 0.01 * len(docstrings[other])
