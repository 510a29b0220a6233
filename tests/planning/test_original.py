"""The original's size is the same with and without a plan."""

from __future__ import annotations

import pytest
import tiny

import quantcli
from quantcli.checkpoint import open_checkpoint
from quantcli.planning import measure_original, read_source


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_a_plan_counts_the_same(kind, tiny_model):
    folder = tiny_model(kind)
    plan = quantcli.plan(folder, allow_unquantized=True)
    size = measure_original(read_source(open_checkpoint(str(folder)), here=True))
    assert (size.nbytes, size.parameters) == (plan.original_bytes, plan.parameters)
    assert list(size.dtypes.items()) == list(plan.original_dtypes.items())


@pytest.mark.parametrize("kind", ["bert", "clip"])
def test_parameters_are_those_of_transformers(kind, tiny_model):
    from transformers import AutoModel

    folder = tiny_model(kind)
    size = measure_original(read_source(open_checkpoint(str(folder)), here=True))
    assert size.parameters == AutoModel.from_pretrained(folder).num_parameters()
