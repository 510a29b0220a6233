"""Pooling is that of sentence-transformers, whichever the folder's config asks for."""

from __future__ import annotations

import json

import pytest
import torch
from sentence_transformers.sentence_transformer.modules import Pooling as Theirs

from quantcli.comparison.families.pooling import Pooling
from quantcli.errors import ModelError

MODES = ["cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


def write(folder, config, *more):
    kinds = ["Transformer", "Pooling", *more]
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": f"{i}_{kind}",
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("modes", [*([mode] for mode in MODES), ["mean", "max"]], ids=str)
def test_every_mode_is_that_of_sentence_transformers(modes, tmp_path):
    hidden, mask = torch.randn(1, 5, 8), torch.tensor([[1, 1, 1, 0, 0]])
    theirs = Theirs(8, pooling_mode=tuple(modes) if len(modes) > 1 else modes[0])
    expected = theirs({"token_embeddings": hidden, "attention_mask": mask})["sentence_embedding"]
    theirs.save(str(write(tmp_path, {}) / "1_Pooling"))
    found = Pooling.of(tmp_path)
    assert found(hidden, mask) == pytest.approx(expected[0], abs=1e-6)


def test_older_configs_have_switches(tmp_path):
    config = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    assert Pooling.of(write(tmp_path, config)).modes == ("cls",)


def test_without_a_config_it_is_the_mean(tmp_path):
    assert Pooling.of(tmp_path) == Pooling(modes=("mean",))


def test_modules_that_are_not_run_are_named(tmp_path):
    found = Pooling.of(write(tmp_path, {}, "Dense", "Normalize"))
    assert found.left_out == ("Dense",)


def test_a_mode_that_does_not_exist(tmp_path):
    found = Pooling.of(write(tmp_path, {"pooling_mode": "median"}))
    with pytest.raises(ModelError, match="unknown pooling mode: median"):
        found(torch.randn(1, 2, 4), torch.ones(1, 2))
