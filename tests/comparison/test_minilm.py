"""Real weights: the numbers are those of a script that uses transformers and Quanto alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from freezing import freeze_plainly

import quantcli
from quantcli.cli import main
from quantcli.comparison.samples import SampleOptions, gather


def plain_cosines(folder, weights):
    """Compare the embeddings of the built-in texts with transformers and Quanto alone."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = gather(SampleOptions(), needs=["text"], limits={"text": 100}).texts
    inputs = [
        tokenizer(t.value, truncation=True, max_length=256, return_tensors="pt") for t in texts
    ]
    model = AutoModel.from_pretrained(folder, dtype="auto").eval()
    with torch.no_grad():
        before = [model(**given).last_hidden_state[0].mean(0).double() for given in inputs]
        freeze_plainly(model, weights)
        after = [model(**given).last_hidden_state[0].mean(0).double() for given in inputs]
    return [float(torch.cosine_similarity(x, y, dim=0)) for x, y in zip(before, after, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["int8", "int4", "int2"])
def test_the_cosines_are_those_of_plain_quanto(weights, minilm, freeze):
    found = quantcli.compare(minilm, freeze(minilm, weights)).comparison
    assert not found.synthetic
    expected = plain_cosines(minilm, weights)
    assert found.samples == len(expected) == 100
    assert found.metrics["cosine_text"].value == pytest.approx(np.mean(expected), abs=2e-6)
    assert found.metrics["cosine_text_min"].value == pytest.approx(min(expected), abs=2e-6)


@pytest.mark.parametrize(("weights", "code"), [("int8", 0), ("int2", 1)])
def test_the_gate_tells_int8_from_int2(weights, code, minilm, freeze, capsys):
    words = [
        "compare",
        str(minilm),
        str(freeze(minilm, weights)),
        "--min-cosine",
        "0.999",
        "--json",
    ]
    assert main(words) == code
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["passed"] == (code == 0)
    assert [gate["metric"] for gate in report["gates"]] == ["cosine_text"]
    assert ("error: gate failed: " in err) == (code == 1)
